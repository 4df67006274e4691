package jinja

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"parley/internal/limits"
)

// TestLimits holds what ends other engines: each is refused, with its kind,
// and quickly.
func TestLimits(t *testing.T) {
	many := strings.Repeat
	lim := DefaultLimits() // with fewer steps and bytes, to be quick
	lim.Steps, lim.LiveBytes, lim.OutputBytes = 2_000_000, 64<<20, 16<<20
	for _, c := range []struct {
		name, source string
		kind         Kind
	}{
		{"source", many("x", DefaultLimits().SourceBytes+1), KindLimit},
		{"brackets", "{{ " + many("(", 100_000) + many(")", 100_000) + " }}", KindLimit},
		{"open brackets", "{{ " + many("[", 100_000), KindSyntax},
		{"lists", "{{ " + many("[", 300) + many("]", 300) + " }}", KindLimit},
		{"dicts", "{{ " + many("{1:", 300) + "1" + many("}", 300) + " }}", KindLimit},
		{"not", "{{ " + many("not ", 100_000) + "1 }}", KindLimit},
		{"minus", "{{ " + many("- ", 100_000) + "1 }}", KindLimit},
		{"attributes", "{{ a" + many(".a", 100_000) + " }}", KindLimit},
		{"calls", "{{ a" + many("()", 100_000) + " }}", KindLimit},
		{"filters", "{{ 1" + many("|string", 100_000) + " }}", KindLimit},
		{"tests", "{{ 1" + many(" is defined", 50_000) + " }}", KindSyntax},
		{"inline ifs", "{{ 1" + many(" if 1 else 1", 80_000) + " }}", KindLimit},
		{"elseless ifs", "{{ 1" + many(" if 1", 80_000) + " }}", KindLimit},
		{"differences", "{{ 1" + many("-1", 80_000) + " }}", KindLimit},
		{"high trees", "{{ " + many("(1", 120) + many("-1-1-1-1-1-1-1-1)", 120) + " }}", KindLimit},
		{"targets", "{% for " + many("(", 100_000) + "a" + many(",)", 100_000) + " in x %}{% endfor %}", KindLimit},
		{"blocks", many("{% if 1 %}", 5000) + many("{% endif %}", 5000), KindLimit},
		{"loops", many("{% for a in b %}", 5000) + many("{% endfor %}", 5000), KindLimit},
		{"macro", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", KindLimit},
		{"macros", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", KindLimit},
		{"caller", "{% macro a() %}{% call a() %}{{ caller() }}{% endcall %}{% endmacro %}{{ a() }}", KindLimit},
		{"recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", KindLimit},
		{"block calls itself", "{% block a %}{{ self.a() }}{% endblock %}", KindLimit},
		{"generators", "{% set ns = namespace(g=[1]) %}{% for i in range(100000) %}{% set ns.g = ns.g | map('string') %}{% endfor %}{{ ns.g | list }}", KindLimit},
		{"deep value printed", deepValue + "{{ ns.x }}", KindLimit},
		{"deep value as JSON", deepValue + "{{ ns.x | tojson }}", KindLimit},
		{"deep values compared", deepValue + "{% set a = ns.x %}" + deepValue + "{{ ns.x == a }}", KindLimit},
		{"deep key", "{% set ns = namespace(x=(1,)) %}{% for i in range(100000) %}{% set ns.x = (ns.x,) %}{% endfor %}{{ {ns.x: 1} }}", KindLimit},
		{"wide value printed", wideValue + "{{ ns.x }}", KindLimit},
		{"wide value as JSON", wideValue + "{{ ns.x | tojson }}", KindLimit},
		{"wide value as JSON with indent", wideValue + "{{ ns.x | tojson(indent=1000000) }}", KindLimit},
		{"wide values compared", wideValue + "{% set a = ns.x %}" + wideValue + "{{ ns.x == a }}", KindLimit},
		{"wide key", "{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}", KindLimit},
		{"namespace in itself", "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", KindLimit},
		{"string repeated", "{{ 'a' * 100000000000 }}", KindLimit},
		{"list repeated", "{{ [1] * 100000000000 }}", KindLimit},
		{"repeated by a big number", "{{ 'a' * 10 ** 30 }}", KindLimit},
		{"string doubled", "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", KindLimit},
		{"list doubled", "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", KindLimit},
		{"strings kept", "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = ns.l + ['a' * 1000000] %}{% endfor %}", KindLimit},
		{"joined", "{{ ('a' * 1000000) | list | join('b' * 1000) }}", KindLimit},
		{"replaced", "{{ ('a' * 1000000).replace('a', 'b' * 100000) }}", KindLimit},
		{"replaced nothing", "{{ ('a' * 1000000).replace('', 'b' * 100000) }}", KindLimit},
		{"indented", "{{ ('a\n' * 100000) | indent(100000) }}", KindLimit},
		{"indented far", "{{ 'a' | indent(100000000000) }}", KindLimit},
		{"centred", "{{ 'a' | center(100000000000) }}", KindLimit},
		{"padded", "{{ 'a'.ljust(100000000000) }}", KindLimit},
		{"zeros", "{{ 'a'.zfill(100000000000) }}", KindLimit},
		{"tabs", "{{ '\t\t'.expandtabs(100000000000) }}", KindLimit},
		{"percent width", "{{ '%1000000000000d' % 1 }}", KindLimit},
		{"percent precision", "{{ '%.1000000000000f' % 1 }}", KindLimit},
		{"percent star", "{{ '%*d' % (1000000000000, 1) }}", KindLimit},
		{"format width", "{{ '{:1000000000000}'.format(1) }}", KindLimit},
		{"format precision", "{{ '{:.1000000000000f}'.format(1.0) }}", KindLimit},
		{"power", "{{ 10 ** (10 ** 10) }}", KindLimit},
		{"power of powers", "{{ 9 ** (9 ** 9) }}", KindLimit},
		{"long product", "{% set ns = namespace(n=2) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}", KindLimit},
		{"range", "{{ range(1000000000) }}", KindValue},
		{"steps", strings.Repeat("{% for i in range(100000) %}", 3) + strings.Repeat("{% endfor %}", 3), KindLimit},
		{"steps inside an expression", "{% for i in range(100000) %}{{ range(100000) | list | length }}{% endfor %}", KindLimit},
		{"work on long strings", "{% set s = 'ab' * 5000000 %}{% for i in range(100000) %}{% if s == s ~ '' or s.count('b') or s[::-1] or 'x' in s %}{% endif %}{% endfor %}", KindLimit},
		{"characters stripped", "{% set s = ('ab' * 200000) %}{% for i in range(100000) %}{% set t = s.strip(s) %}{% endfor %}", KindLimit},
		{"output", "{% set s = 'a' * 1000000 %}{% for i in range(1000) %}{{ s }}{% endfor %}", KindLimit},
		{"captured output", "{% set s = 'a' * 1000000 %}{% set x %}{% for i in range(1000) %}{{ s }}{% endfor %}{% endset %}", KindLimit},
		{"batch", "{{ [1] | batch(100000000000, 1) | list }}", KindLimit},
		{"slice", "{{ [1] | slice(100000000000, 1) | list }}", KindLimit},
		{"round", "{{ 5 | round(-100000000000) }}", 0},
		{"long names", "{{ " + many("a", 500_000) + " }}", 0},
		{"many names", "{{ " + many("a ~ ", 100_000) + "1 }}", 0},
		{"many sums", "{{ 1" + many("+1", 100_000) + " }}", 0},
		{"many branches", "{% if 0 %}" + many("{% elif 0 %}{% set a = 1 %}", 30_000) + "{% endif %}", 0},
		{"many statements", many("{% set a = 1 %}", 60_000), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl, err := Parse("test", c.source, lim)
			if err == nil {
				_, err = tmpl.Render(context.Background(), NewDict(), clock)
			}
			var e *Error
			switch {
			case c.kind == 0 && err != nil:
				t.Error(err)
			case c.kind != 0 && !errors.As(err, &e):
				t.Errorf("got %v, want an error of kind %v", err, c.kind)
			case c.kind != 0 && e.Kind != c.kind:
				t.Errorf("got kind %v (%s), want %v", e.Kind, e.Msg, c.kind)
			}
		})
	}
}

const (
	deepValue = "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}"
	wideValue = "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
)

func TestTimeLimit(t *testing.T) {
	lim := DefaultLimits()
	lim.Time = 0
	tmpl, err := Parse("slow", "{% for i in range(100000) %}{% endfor %}", lim)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(context.Background(), NewDict(), clock)
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindLimit || !strings.Contains(e.Msg, "template_seconds") {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	const endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
	lim := DefaultLimits()
	lim.Steps = 1 << 40
	tmpl, err := Parse("endless", endless, lim)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	_, err = tmpl.Render(ctx, NewDict(), clock)
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestEveryLimitIsInTheMessage: who hits a limit is told which.
func TestEveryLimitIsInTheMessage(t *testing.T) {
	small := Limits{SourceBytes: 1 << 10, Depth: 8, Steps: 1000, OutputBytes: 100, LiveBytes: 10_000, Range: 100, Time: time.Minute}
	for source, name := range map[string]string{
		strings.Repeat("x", 2000):   "template_bytes",
		"{{ [[[[[[[[[1]]]]]]]]] }}": "template_depth",
		"{% for i in range(99) %}{% for j in range(99) %}{% endfor %}{% endfor %}": "template_steps",
		"{{ 'x' * 101 }}":   "template_output_bytes",
		"{{ 'x' * 10001 }}": "template_live_bytes",
		"{{ range(101) }}":  "MAX_RANGE",
	} {
		tmpl, err := Parse("t", source, small)
		if err == nil {
			_, err = tmpl.Render(context.Background(), NewDict(), clock)
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want a message that names %s", source, err, name)
		}
	}
}

func TestChainsAreReadUpToTheirLimit(t *testing.T) {
	most := limits.TemplateChain.Int()
	for name, link := range map[string]struct{ begin, link string }{
		"filters":      {"1", "|string"},
		"filter block": {"", "|string"},
		"accesses":     {"ns", ".a"},
		"operators":    {"1", "-1"},
		"inline ifs":   {"1", " if 1"},
	} {
		source := func(n int) string {
			chain := link.begin + strings.Repeat(link.link, n)
			if name == "filter block" {
				return "{% filter " + chain[1:] + " %}x{% endfilter %}"
			}
			return "{{ " + chain + " }}"
		}
		if _, err := Parse("", source(most), DefaultLimits()); err != nil {
			t.Errorf("%d %s: %v", most, name, err)
		}
		_, err := Parse("", source(most+1), DefaultLimits())
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindLimit || !strings.Contains(e.Msg, limits.TemplateChain.Name) {
			t.Errorf("%d %s: %v, want an error that names the limit", most+1, name, err)
		}
	}
}
