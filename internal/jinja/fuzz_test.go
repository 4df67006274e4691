package jinja

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// fuzzLimits keep a run of the fuzzer short.
func fuzzLimits() Limits {
	return Limits{SourceBytes: 1 << 16, Depth: 64, Steps: 50_000, OutputBytes: 1 << 20, LiveBytes: 4 << 20, Range: 1000, Time: 5 * time.Second}
}

// FuzzRender: any template either renders, with spans that cover its output,
// or fails with an *Error that is no fault of this package.
func FuzzRender(f *testing.F) {
	for _, file := range []string{"expressions", "filters", "statements"} {
		data, err := os.ReadFile("testdata/" + file + ".cases")
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(data), "=== ")[1:] {
			_, source, _ := strings.Cut(part, "\n")
			f.Add(source)
		}
	}
	vars := contextVars(f)
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Parse("fuzz", source, fuzzLimits())
		if err != nil {
			checkError(t, err)
			return
		}
		out, err := tmpl.Render(context.Background(), vars, clock)
		if err != nil {
			checkError(t, err)
			return
		}
		checkSpans(t, out)
		again, err := tmpl.Render(context.Background(), vars, clock)
		if err != nil || again.Text != out.Text {
			t.Errorf("the second render differs: %v", err)
		}
	})
}

// FuzzValues: a fixed template that does much with its input, on any JSON.
func FuzzValues(f *testing.F) {
	const source = `{% for m in messages %}{{ loop.index }}{{ m.role }}{{ m['content'] }}{% if m.content is string %}{{ m.content | trim | upper | title | indent(2) }}
{{ m.content.split('a') }}{{ m.content[1:-1] }}{{ m.content[::-1] }}{{ m.content | tojson }}{{ m.content | replace('a', m.role) }}{{ m.content | e }}
{% elif m.content is mapping %}{{ m.content | dictsort }}{{ m.content | items | list }}{{ m.content | tojson(indent=2, ensure_ascii=true, sort_keys=true) }}
{% elif m.content is iterable %}{{ m.content | map('string') | join(',') }}{{ m.content | unique | list }}{{ m.content | sort }}{% else %}{{ m.content + 1 }}{{ m.content ** 2 }}{% endif %}{{ m }}{% endfor %}`
	tmpl, err := Parse("values", source, fuzzLimits())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`[{"role": "user", "content": "abcaé日\n\"'<"}]`, `[{"role": "user", "content": {"b": 1, "a": [1.5, null, true]}}]`,
		`[{"role": "user", "content": ["a", "A", "b"]}]`, `[{"content": 99999999999999999999}]`, `[{"content": -1e308}]`, `{"a": 1}`, `null`, `[{"content": [[]]}]`,
		`[{"content": "\ud800"}]`, `[[[[[[[[]]]]]]]]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := FromJSON(data, fuzzLimits(), func([]PathStep, bool) Origin { return 1 })
		if err != nil {
			return
		}
		vars := NewDict()
		vars.Set("messages", v)
		out, err := tmpl.Render(context.Background(), vars, clock)
		if err != nil {
			checkError(t, err)
			return
		}
		checkSpans(t, out)
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("not an *Error: %v", err)
	}
	if e.Kind == KindInternal || e.Kind == 0 || e.Msg == "" && e.Kind != KindRaise {
		t.Fatalf("%v: %s", e.Kind, e.Msg)
	}
}
