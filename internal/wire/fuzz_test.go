package wire

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What we take apart by hand is what encoding/json sees.
func FuzzValue(f *testing.F) {
	for _, s := range []string{`{"a" : [1, "x,]}", {"b":null}] ,"\"c\\":-1e5}`, `[ ]`, `{ }`, `[true,false,null,0,"\\"]`, `"\u0085"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := Parse(body)
		if err != nil {
			return
		}
		switch v.Kind() {
		case '[':
			var want []json.RawMessage
			if json.Unmarshal(v, &want) != nil {
				t.Fatal("not a list")
			}
			n := 0
			for i, e := range v.Elements() {
				if i != n || i >= len(want) || !bytes.Equal(e, want[i]) {
					t.Fatalf("element %d is %q", i, e)
				}
				n++
			}
			if n != len(want) || v.Empty() != (n == 0) {
				t.Fatalf("%d elements, want %d", n, len(want))
			}
		case '{':
			var want map[string]json.RawMessage
			if json.Unmarshal(v, &want) != nil {
				t.Fatal("not an object")
			}
			got := map[string]json.RawMessage{}
			for name, e := range v.Fields() {
				got[name] = json.RawMessage(e)
			}
			for name := range want {
				if !bytes.Equal(got[name], want[name]) {
					t.Fatalf("field %q is %q, want %q", name, got[name], want[name])
				}
			}
			if len(got) != len(want) || v.Empty() != (len(want) == 0) {
				t.Fatalf("%d fields, want %d", len(got), len(want))
			}
		}
	})
}
