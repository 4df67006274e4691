package jinja

import (
	"strings"
	"testing"
)

// marked shows an output with the clients' parts in ‹ ›.
func marked(out Output) string {
	var b strings.Builder
	for _, s := range out.Spans {
		if s.User() {
			b.WriteString("‹" + out.Text[s.Start:s.End] + "›")
		} else {
			b.WriteString(out.Text[s.Start:s.End])
		}
	}
	return b.String()
}

// TestProvenance: whatever is done to a text, each character of the result
// says who wrote it. u, v and w come from a client, t does not.
func TestProvenance(t *testing.T) {
	vars := NewDict()
	vars.Set("u", String("Ab c", 1))
	vars.Set("v", String(" x\ny ", 1))
	vars.Set("w", String("ß'\"<é>\n", 1))
	vars.Set("t", String("tt", FromTemplate))
	vars.Set("n", Int{42, 1})
	vars.Set("f", Float{1.5, 1})
	vars.Set("b", Bool{true, 1})
	vars.Set("z", None{1})
	d := NewDict()
	d.SetKey(String("k", 1), String("q", 1))
	d.SetKey(String("l", 1), NewList(Int{1, 1}, String("r", 1)))
	vars.Set("d", d)
	for source, want := range map[string]string{
		"a{{ u }}b":       "a‹Ab c›b",
		"{{ t ~ u ~ t }}": "tt‹Ab c›tt",
		"{{ t + u + t }}{% set x = u + t %}{{ x }}":                                      "tt‹Ab c›tt‹Ab c›tt",
		"{{ (t + u) + (u + t) }}":                                                        "tt‹Ab cAb c›tt",
		"{{ u * 2 }}|{{ ('<' ~ u) * 2 }}":                                                "‹Ab cAb c›|<‹Ab c›<‹Ab c›",
		"{{ (t ~ u)[1:4] }}{{ (t ~ u)[::-1] }}":                                          "t‹Abc bA›tt",
		"{{ (t ~ u)[1] }}{{ (t ~ u)[2] }}":                                               "t‹A›",
		"{{ u | upper }}{{ w | upper }}":                                                 "‹AB CSS'\"<É>\n›",
		"{{ ('x' ~ u) | title }}{{ ('x' ~ u) | capitalize }}{{ ('x' ~ u).swapcase() }}":  "X‹ab C›X‹ab c›X‹aB C›",
		"{{ v | trim }}{{ ('-' ~ v ~ '-').strip('-') }}":                                 "‹x\ny x\ny ›",
		"{{ u.split() }}":                                                                "['‹Ab›', '‹c›']",
		"{{ (u ~ ',' ~ t).split(',') }}":                                                 "['‹Ab c›', 'tt']",
		"{{ u.partition(' ') | join('|') }}":                                             "‹Ab›|‹ ›|‹c›",
		"{{ u.replace('b', 'T') }}{{ 'xbx'.replace('b', u) }}{{ u | replace('', '-') }}": "‹A›T‹ c›x‹Ab c›x-‹A›-‹b›-‹ ›-‹c›-",
		"{{ [u, t] | join(', ') }}{{ ['a', 'b'] | join(u) }}{{ u.join(['a', 'b']) }}":    "‹Ab c›, tta‹Ab c›ba‹Ab c›b",
		"{{ u | list }}":                                        "['‹A›', '‹b›', '‹ ›', '‹c›']",
		"{% for c in u %}{{ c }}.{% endfor %}":                  "‹A›.‹b›.‹ ›.‹c›.",
		"{{ v | indent(2, true) }}":                             "  ‹ x›\n  ‹y ›",
		"{{ w | tojson }}":                                      "\"‹ß'\\\"<é>\\n›\"",
		"{{ w | tojson(ensure_ascii=true) }}":                   "\"‹\\u00df'\\\"<\\u00e9>\\n›\"",
		"{{ d | tojson }}":                                      "{\"‹k›\": \"‹q›\", \"‹l›\": [‹1›, \"‹r›\"]}",
		"{{ d }}{{ w | list }}":                                 "{'‹k›': '‹q›', '‹l›': [‹1›, '‹r›']}['‹ß›', \"‹'›\", '‹\"›', '‹<›', '‹é›', '‹>›', '‹\\n›']",
		"{{ n }}{{ f }}{{ b }}{{ z }}{{ n | tojson }}":          "‹421.5TrueNone42›",
		"{{ [n, f, b, z] | tojson }}":                           "[‹42›, ‹1.5›, ‹true›, ‹null›]",
		"{{ n + 1 }}{{ 1 + n }}{{ -n }}{{ f * 2 }}{{ n // 5 }}": "‹4343-423.08›",
		"{{ n | string ~ u | length }}":                         "‹42›4",
		"{{ '%s-%s' % (u, t) }}{{ '%5d|' % n }}":                "‹Ab c›-tt   ‹42›|",
		"{{ '{}-{:>6}'.format(t, u) }}":                         "tt-  ‹Ab c›",
		"{{ u % () }}{{ u.format() }}":                          "‹Ab cAb c›",
		"{{ w | e }}":                                           "‹ß&#39;&#34;&lt;é&gt;\n›",
		"{% set x %}<{{ u }}>{% endset %}{{ x | upper }}":       "<‹AB C›>",
		"{% macro m(a) %}[{{ a }}{{ caller() }}]{% endmacro %}{% call m(u) %}{{ v }}!{% endcall %}":                                  "[‹Ab c x\ny ›!]",
		"{% filter upper %}a{{ u }}{% endfilter %}":                                                                                  "A‹AB C›",
		"{% generation %}a{{ u }}{% endgeneration %}":                                                                                "a‹Ab c›",
		"{% set ns = namespace(s='') %}{% for c in [u, t] %}{% set ns.s = ns.s ~ c %}{% endfor %}{{ ns.s }}":                         "‹Ab c›tt",
		"{{ d.items() | list }}{{ d | items | first | join }}":                                                                       "[('‹k›', '‹q›'), ('‹l›', [‹1›, '‹r›'])]‹kq›",
		"{% for k, x in d.items() %}{{ k }}={{ x }};{% endfor %}":                                                                    "‹k›=‹q›;‹l›=[‹1›, '‹r›'];",
		"{{ d | dictsort | map('first') | join(',') }}{{ d.keys() | list }}":                                                         "‹k›,‹l›['‹k›', '‹l›']",
		"{{ [u, u] | unique | first }}{{ [u] | map('lower') | first }}{{ [v, u] | sort | first }}":                                   "‹Ab cab c x\ny ›",
		"{{ u if u else t }}{{ u or t }}{{ u and t }}":                                                                               "‹Ab cAb c›tt",
		"{{ undefinedvar | default(u) }}{{ (u | safe) + '<' }}":                                                                      "‹Ab cAb c›&lt;",
		"{{ u.center(8, '*') }}{{ u.zfill(6) }}{{ u | truncate(4, true, '..', 0) }}{{ ('12345' ~ u) | truncate(7, true, '..', 0) }}": "**‹Ab c›**00‹Ab cAb c›12345..",
		"{{ strftime_now('%Y' ~ u) }}{{ strftime_now(u) }}":                                                                          "2026‹Ab cAb c›",
		"{{ u.splitlines() }}{{ v.splitlines(true) }}":                                                                               "['‹Ab c›']['‹ x\\n›', '‹y ›']",
		"{{ u | urlencode }}{{ ('<b>' ~ u ~ '</b>') | striptags }}":                                                                  "‹Ab%20cAb› ‹c›",
		"{{ u | wordcount }}{{ u == 'Ab c' }}{{ 'b' in u }}{{ u.find('c') }}":                                                        "2TrueTrue3",
		"{{ n * 'ab' | length }}{{ 'ab' * (n // 42) }}":                                                                              "‹84›ab",
		"{{ u | reverse }}{{ u | first }}{{ u | last }}{{ u | batch(2) | first | join }}":                                            "‹c bAAcAb›",
		"{{ u | int(7) }}{{ '4' | int }}{{ n | float }}{{ f | round }}{{ f | int }}":                                                 "74‹42.02.01›",
		"{{ {u: 1} }}{{ dict(a=u) }}{{ [u] + [t] }}":                                                                                 "{'‹Ab c›': 1}{'a': '‹Ab c›'}['‹Ab c›', 'tt']",
	} {
		out, err := renderString(source, vars)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		checkSpans(t, out)
		if got := marked(out); got != want {
			t.Errorf("%s\n got %q\nwant %q", source, got, want)
		}
	}
}

// TestOriginsAreKept: not only that a client wrote it, but which value it was.
func TestOriginsAreKept(t *testing.T) {
	vars := NewDict()
	vars.Set("a", String("aa", 7))
	vars.Set("b", String("bb", 8))
	out, err := renderString("{{ (a ~ b)[1:] | upper }}!", vars)
	if err != nil {
		t.Fatal(err)
	}
	want := []Span{{0, 1, 7}, {1, 3, 8}, {3, 4, 0}}
	if len(out.Spans) != 3 || out.Spans[0] != want[0] || out.Spans[1] != want[1] || out.Spans[2] != want[2] {
		t.Errorf("got %v, want %v", out.Spans, want)
	}
}
