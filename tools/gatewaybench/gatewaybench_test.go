package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLoadCountsWholeAnswersStreamsAndTheirEvents(t *testing.T) {
	engine := httptest.NewServer(stub(false))
	defer engine.Close()
	addr := engine.Listener.Addr().String()
	whole, err := drive(addr, request("m", false), 2, 20*time.Millisecond)
	if err != nil || len(whole.took) == 0 || len(whole.late) != 0 {
		t.Errorf("whole answers: %d with %d events, %v", len(whole.took), len(whole.late), err)
	}
	streams, err := drive(addr, request("m", true), 2, 20*time.Millisecond)
	if err != nil || len(streams.took) == 0 || len(streams.late) != streamEvents*len(streams.took) {
		t.Errorf("streams: %d with %d events, %v", len(streams.took), len(streams.late), err)
	}
	if !slices.IsSorted(streams.late) || streams.late[0] < 0 {
		t.Error("the times are not sorted, or an event was read before it was written")
	}
}

func TestLoadSaysWhatAServerRefused(t *testing.T) {
	engine := httptest.NewServer(stub(false))
	defer engine.Close()
	wrong := []byte("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := drive(engine.Listener.Addr().String(), wrong, 1, time.Second); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestHeldStreamsAreOpenAtTheSameTime(t *testing.T) {
	engine := httptest.NewServer(stub(true))
	defer engine.Close()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{slow: engine.Listener.Addr().String(), process: &process{&exec.Cmd{Process: self}}}
	h, err := hold(s, 20, 3*pace)
	if err != nil || h.open != 20 || len(h.gap) < 20 || len(h.gap) != len(h.late) {
		t.Errorf("%d streams with %d gaps, %v", h.open, len(h.gap), err)
	}
}

func TestAStampIsTheTimeInAnEvent(t *testing.T) {
	for line, want := range map[string]int64{
		`data: {"choices":[{"delta":{"content":"@1795633988123456789 "}}]}`: 1795633988123456789,
		`data: {"content":"@12 @13 "}`:                                      12,
		`data: {"content":"hello"}`:                                         -1,
		`data: {"content":"@x "}`:                                           -1,
	} {
		got, ok := stamp([]byte(line))
		if ok != (want >= 0) || ok && got.UnixNano() != want {
			t.Errorf("%s: %v, %v", line, got.UnixNano(), ok)
		}
	}
}
