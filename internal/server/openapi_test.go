package server

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley/internal/session"
)

type operation struct {
	OperationID string `json:"operationId"`
	Responses   map[string]any
	RequestBody struct {
		Content map[string]struct{ Schema json.RawMessage }
	} `json:"requestBody"`
}

type document struct {
	OpenAPI    string
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Schemas map[string]struct {
			Properties map[string]json.RawMessage
		}
	}
}

func described(t *testing.T) (d document) {
	t.Helper()
	if err := json.Unmarshal(openAPIDocument, &d); err != nil || d.OpenAPI != "3.1.0" {
		t.Fatal(d.OpenAPI, err)
	}
	return d
}

func TestTheDescriptionHasTheRoutesThatThereAre(t *testing.T) {
	var have, want []string
	ids := map[string]bool{}
	for path, methods := range described(t).Paths {
		var declared []struct{ Name, In string }
		if p := methods["parameters"]; p != nil {
			if err := json.Unmarshal(p, &declared); err != nil {
				t.Fatal(err)
			}
		}
		names := regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(path, -1)
		if len(names) != len(declared) {
			t.Errorf("%s declares %v", path, declared)
		}
		for method, data := range methods {
			if method == "parameters" {
				continue
			}
			var o operation
			if err := json.Unmarshal(data, &o); err != nil {
				t.Fatal(err)
			}
			if ids[o.OperationID] || o.OperationID == "" || o.Responses["default"] == nil {
				t.Errorf("%s %s: %+v", method, path, o)
			}
			ids[o.OperationID] = true
			have = append(have, strings.ToUpper(method)+" "+regexp.MustCompile(`{\w+}`).ReplaceAllString(path, "*"))
		}
	}
	for _, r := range sessionRoutes {
		want = append(want, r.method+" "+r.path)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("described are\n%s\nand there are\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheDescriptionRefersToWhatItHas(t *testing.T) {
	var whole map[string]any
	if err := json.Unmarshal(openAPIDocument, &whole); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllSubmatch(openAPIDocument, -1) {
		at := any(whole)
		for part := range strings.SplitSeq(string(m[1]), "/") {
			inner, _ := at.(map[string]any)
			at = inner[part]
		}
		if at == nil {
			t.Errorf("there is no %s", m[1])
		}
	}
}

// What is described of a value is what its type writes.
func TestTheDescriptionHasTheFieldsThatThereAre(t *testing.T) {
	d := described(t)
	for name, v := range map[string]any{
		"Session": wireSession{}, "Message": session.Message{}, "Reply": session.Reply{}, "Author": session.Author{}, "Place": session.Place{},
		"Outcome": session.Outcome{}, "WholeReply": wireReply{}, "Member": session.Member{}, "Lore": session.LoreSettings{}, "Attached": session.Attached{}, "Cast": session.Cast{}, "Run": wireRun{}, "Document": wireDocument{}, "ReplyError": session.ReplyError{}, "Merged": session.MergedKind{},
	} {
		for _, field := range fieldsOf(reflect.TypeOf(v)) {
			if _, ok := d.Components.Schemas[name].Properties[field]; !ok && !(name == "Session" && field == "since") {
				t.Errorf("%s has no %s", name, field)
			}
		}
		if n := len(d.Components.Schemas[name].Properties); n > len(fieldsOf(reflect.TypeOf(v))) {
			t.Errorf("%s describes %d fields, and there are %v", name, n, fieldsOf(reflect.TypeOf(v)))
		}
	}
}

func fieldsOf(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			names = append(names, fieldsOf(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
