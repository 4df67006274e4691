//go:build clients

package sillytavern

import (
	"encoding/json"
	"os"
	"testing"
)

// preset is the one that examples/sillytavern ships, as far as it decides
// what is sent.
func preset(t *testing.T) (p struct {
	URL         string `json:"custom_url"`
	IncludeBody string `json:"custom_include_body"`
}) {
	t.Helper()
	data, err := os.ReadFile("../../examples/sillytavern/Parley.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return p
}
