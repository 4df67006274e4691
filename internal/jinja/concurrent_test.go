package jinja

import (
	"context"
	"sync"
	"testing"
)

// TestRendersShareTemplateAndValues: one template, one set of variables, many
// renders at a time; run with -race.
func TestRendersShareTemplateAndValues(t *testing.T) {
	const source = `{% set ns = namespace(d=d, n=0) %}{% macro m(x) %}<{{ x | upper }}>{% endmacro %}
{% for x in messages %}{% set ns.n = ns.n + 1 %}{{ m(x.role) }}{{ x | tojson }}{{ loop.last }}{% endfor %}{{ d | dictsort }}{{ nums | sort }}{{ ns }}{{ range(3) | list }}{{ nums + [ns.n] }}`
	tmpl, err := Parse("shared", source, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	vars := contextVars(t)
	want, err := tmpl.Render(context.Background(), vars, clock)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := tmpl.Render(context.Background(), vars, clock)
				if err != nil || got.Text != want.Text {
					t.Errorf("got %q, %v", got.Text, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
