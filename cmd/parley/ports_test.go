package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func listenOn(t *testing.T, addresses ...string) ([]listener, error) {
	t.Helper()
	all, err := places(addresses, nil)
	if err != nil {
		t.Fatal(err)
	}
	return listen(t.Context(), all, false)
}

func TestWhereFacesAreLookedFor(t *testing.T) {
	tests := []struct {
		listen, as []string
		want       []string
	}{
		{[]string{defaultListen}, nil, []string{defaultListen + " parley"}},
		{[]string{defaultListen}, []string{"mlc"}, []string{defaultListen + " parley", "127.0.0.1:8000 mlc"}},
		{[]string{defaultListen}, []string{"textgen"}, []string{defaultListen + " parley", "127.0.0.1:5000 textgen", "127.0.0.1:5005 textgen"}},
		{[]string{defaultListen}, []string{"openai"}, []string{defaultListen + " openai"}},
		{[]string{"127.0.0.1:1", "127.0.0.1:2"}, nil, []string{"127.0.0.1:1 parley", "127.0.0.1:2 parley"}},
	}
	for _, tt := range tests {
		all, err := places(tt.listen, tt.as)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range all {
			got = append(got, p.address+" "+p.face.Name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("places(%v, %v) = %v, want %v", tt.listen, tt.as, got, tt.want)
		}
	}
}

func TestAPortInUseNamesItsOwner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = listenOn(t, l.Addr().String())
	var e *userError
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(e.Message, "in use") || !strings.Contains(e.Hint, "--listen 127.0.0.1:0") {
		t.Errorf("says %q, %q", e.Message, e.Hint)
	}
	if runtime.GOOS == "linux" && !strings.Contains(e.Message, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("%q does not name this process, %d", e.Message, os.Getpid())
	}
}

func TestAllAddressesOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	if _, err := listenOn(t, address, taken.Addr().String()); err == nil {
		t.Fatal("no error")
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the first address was kept: %v", err)
	}
	again.Close()
}

func TestAddresses(t *testing.T) {
	tests := []struct {
		address string
		keyed   bool
		want    string // part of the error; "" for none
	}{
		{"127.0.0.1:7275", false, ""},
		{"localhost:7275", false, ""},
		{"[::1]:7275", false, ""},
		{"127.8.9.10:1", false, ""},
		{"0.0.0.0:7275", true, ""},
		{":7275", true, ""},
		{"0.0.0.0:7275", false, "--api-key-file"},
		{":7275", false, "--api-key-file"},
		{"[::]:7275", false, "--api-key-file"},
		{"192.168.1.5:7275", false, "127.0.0.1:7275"},
		{"example.org:7275", false, "--api-key-file"},
		{"7275", false, "HOST:PORT"},
		{"127.0.0.1", false, "HOST:PORT"},
		{"127.0.0.1:http", false, `"http" is not a port`},
		{"127.0.0.1:70000", false, "not a port"},
	}
	for _, tt := range tests {
		err := checkAddress(tt.address, tt.keyed)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s (keyed: %v): %v", tt.address, tt.keyed, err)
			}
			continue
		}
		e, ok := err.(*userError)
		if !ok || !strings.Contains(e.Message+" "+e.Hint, tt.want) || !e.Usage {
			t.Errorf("%s (keyed: %v): %v, want %q in it", tt.address, tt.keyed, err, tt.want)
		}
	}
}

func TestFacesThatCannotBeServedAreRefusedByName(t *testing.T) {
	for name, want := range map[string]string{"": "no such face", "nonsense": "no such face"} {
		_, err := places(nil, []string{name})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--as %s: %v, want %q in it", name, err, want)
		}
	}
	for _, name := range faceNames() {
		if _, err := faceNamed(name); err != nil {
			t.Errorf("--as %s: %v", name, err)
		}
	}
}
