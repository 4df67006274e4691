package engine

import (
	"math"
	"strings"
)

type drySettings struct {
	multiplier float64
	base       float64
	allowed    int // the longest repetition without penalty
	lookBack   int // tokens that are searched; -1: all
	breakers   []string
}

// A dry is the state of DRY, "don't repeat yourself" (p-e-w, text-generation-
// webui pull request 5677, 2024): a token that would make the text go on as it
// did after an earlier occurrence of its last n tokens is penalised by
// multiplier · base^(n - allowed), for n of at least allowed. Repetitions are
// not counted across a breaker, nor is a token penalised that contains one.
//
// Breakers are found in the text of the tokens, so it does not matter how a
// tokenizer divides it; which agrees with KoboldCpp and llama.cpp.
type dry struct {
	drySettings
	words vocabulary

	tokens []int32
	since  []int32 // for each token: how many there are behind the last breaker, with it
	most   int     // bytes of the longest breaker

	reach   []int32       // scratch: the Z function of the reversed tokens
	longest map[int32]int // scratch: of the repetitions that a token would make longer
}

func newDRY(s drySettings, prompt []int32, words vocabulary) *dry {
	d := &dry{drySettings: s, words: words, longest: map[int32]int{}}
	for _, b := range s.breakers {
		d.most = max(d.most, len(b))
	}
	for _, id := range prompt {
		d.accept(id)
	}
	return d
}

func (d *dry) accept(id int32) {
	n := int32(1)
	if len(d.since) > 0 {
		n += d.since[len(d.since)-1]
	}
	d.tokens = append(d.tokens, id)
	if d.broken() {
		n = 0
	}
	d.since = append(d.since, n)
}

func (d *dry) rewind(n int) { d.tokens, d.since = d.tokens[:n], d.since[:n] }

// broken reports whether a breaker ends in the last token.
func (d *dry) broken() bool {
	if d.most == 0 {
		return false
	}
	last := d.text(d.tokens[len(d.tokens)-1])
	before := ""
	for i := len(d.tokens) - 2; i >= 0 && len(before) < d.most-1; i-- {
		before = d.text(d.tokens[i]) + before
	}
	for _, b := range d.breakers {
		if strings.Contains(before[max(0, len(before)-len(b)+1):]+last, b) {
			return true
		}
	}
	return false
}

func (d *dry) text(id int32) string {
	text, _ := d.words.Text(int(id))
	return text
}

// find gives, for each token that would make a repetition longer, how long the
// longest of them is.
func (d *dry) find() map[int32]int {
	clear(d.longest)
	h := d.tokens
	if d.lookBack >= 0 {
		h = h[max(0, len(h)-d.lookBack):]
	}
	if len(h) == 0 {
		return d.longest
	}
	limit := min(len(h), int(d.since[len(d.since)-1]))
	if limit < d.allowed {
		return d.longest
	}
	d.match(h)
	for k := 1; k < len(h); k++ {
		// The last n tokens also stand k tokens earlier; h[len(h)-k] came next.
		n, next := min(limit, int(d.reach[k])), h[len(h)-k]
		if n >= d.allowed && n >= d.longest[next] {
			d.longest[next] = n
		}
	}
	return d.longest
}

// match computes, for each k, how many of the last tokens stand k tokens
// earlier as well (Gusfield's Z algorithm, from the end).
func (d *dry) match(h []int32) {
	n := len(h)
	if cap(d.reach) < n {
		d.reach = make([]int32, n+n/4)
	}
	z := d.reach[:n]
	d.reach = z
	z[0] = 0
	at := func(i int) int32 { return h[n-1-i] }
	left, right := 0, 0 // the match that reaches furthest covers [left, right)
	for k := 1; k < n; k++ {
		m := 0
		if k < right {
			m = min(int(z[k-left]), right-k)
		}
		for k+m < n && at(m) == at(k+m) {
			m++
		}
		z[k] = int32(m)
		if k+m > right {
			left, right = k, k+m
		}
	}
}

// penalty is what is subtracted for a repetition of n tokens.
func (d *dry) penalty(n int) float64 {
	return min(1e30, d.multiplier*math.Pow(d.base, float64(n-d.allowed)))
}

// spares reports whether a token is a breaker itself.
func (d *dry) spares(id int32) bool {
	text := d.text(id)
	for _, b := range d.breakers {
		if strings.Contains(text, b) {
			return true
		}
	}
	return false
}

func (d *dry) apply(logits []float32) {
	for id, n := range d.find() {
		if !d.spares(id) {
			logits[id] -= float32(d.penalty(n))
		}
	}
}

func (d *dry) applyTo(cs []candidate) {
	found := d.find()
	for i, c := range cs {
		if n, ok := found[c.id]; ok && !d.spares(c.id) {
			cs[i].logit = held(float64(c.logit) - d.penalty(n))
		}
	}
}
