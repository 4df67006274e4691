package hub

import (
	"strings"
	"testing"

	"parley/llm"
)

func TestPeopleCallAModelByManyNames(t *testing.T) {
	for s, want := range map[string]Ref{
		"ada/engine-GGUF":                                                        {"ada", "engine-GGUF", "main", ""},
		"ada/engine-GGUF:Q4_K_M":                                                 {"ada", "engine-GGUF", "main", "Q4_K_M"},
		"ada/engine-GGUF@v2:Q8_0":                                                {"ada", "engine-GGUF", "v2", "Q8_0"},
		"hf.co/ada/engine-GGUF:a.gguf":                                           {"ada", "engine-GGUF", "main", "a.gguf"},
		"https://huggingface.co/ada/engine-GGUF/":                                {"ada", "engine-GGUF", "main", ""},
		"https://huggingface.co/ada/e/blob/main/sub/e%20x-Q4_0.gguf":             {"ada", "e", "main", "sub/e x-Q4_0.gguf"},
		"https://huggingface.co/ada/e/resolve/0123abc/e-Q4_0.gguf?download=true": {"ada", "e", "0123abc", "e-Q4_0.gguf"},
		"https://huggingface.co/ada/e/tree/main":                                 {"ada", "e", "main", ""},
	} {
		if got, err := ParseRef(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "engine", "a/b/c", "../x", "a/..", "a/b@../x", "a/ b", "a/b@", strings.Repeat("a", 200) + "/" + strings.Repeat("b", 200)} {
		if r, err := ParseRef(s); llm.AsError(err).Code != llm.Invalid {
			t.Errorf("%q: %+v, %v", s, r, err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("https://huggingface.co/ada/e/blob/main/e%20x.gguf")
	f.Add("ada/engine@v2:Q4_K_M")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			if e := llm.AsError(err); e.Code != llm.Invalid {
				t.Fatal(err)
			}
			return
		}
		if strings.ContainsAny(r.Owner+r.Repo+r.Revision, `/\ `) || r.Owner == ".." || r.Repo == ".." {
			t.Fatalf("%+v", r)
		}
	})
}

func TestTheModelThatIsMeantIsChosen(t *testing.T) {
	list := models([]File{
		{Path: "m-Q8_0.gguf", Size: 80}, {Path: "m-Q4_K_M.gguf", Size: 40}, {Path: "m-UD-Q4_K_XL.gguf", Size: 42}, {Path: "README.md", Size: 1},
		{Path: "big/m-F16-00002-of-00002.gguf", Size: 90}, {Path: "big/m-F16-00001-of-00002.gguf", Size: 100}, {Path: "mmproj-m-F16.gguf", Size: 5}, {Path: "m.IQ2_M.gguf", Size: 20},
	})
	if len(list) != 5 || list[0].Name != "m.IQ2_M" || list[4].Name != "m-F16" || list[4].Size() != 190 || list[4].Files[0].Size != 100 {
		t.Fatalf("%+v", list)
	}
	for want, name := range map[string]string{
		"": "m-Q4_K_M", "q4_k_m": "m-Q4_K_M", "Q8_0": "m-Q8_0", "Q4_K_XL": "m-UD-Q4_K_XL", "UD-Q4_K_XL": "m-UD-Q4_K_XL", "F16": "m-F16", "IQ2_M": "m.IQ2_M",
		"m-Q8_0.gguf": "m-Q8_0", "big/m-F16-00001-of-00002.gguf": "m-F16", "m-F16": "m-F16",
	} {
		if m, err := choose(Ref{"a", "m", "main", want}, list); err != nil || m.Name != name {
			t.Errorf("%q: %+v, %v", want, m, err)
		}
	}
	for want, say := range map[string]string{"Q4": "none is called", "Q2_K": "m-Q8_0 (0.0 GB)", "m": "several are called"} {
		if m, err := choose(Ref{"a", "m", "main", want}, list); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %+v, %v", want, m, err)
		}
	}
	if m, err := choose(Ref{"a", "m", "main", ""}, list[:1]); err != nil || m.Name != "m.IQ2_M" {
		t.Errorf("the only one: %+v, %v", m, err)
	}
	if _, err := choose(Ref{"a", "m", "main", ""}, nil); err == nil || !strings.Contains(err.Error(), "no GGUF files") {
		t.Error(err)
	}
}
