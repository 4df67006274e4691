package transformer

import (
	"math"
	"slices"
	"testing"

	"parley/internal/gguf"
)

// The states are those from which the logits are made, whatever surrounds them.
func TestStatesAreWhatLogitsAreMadeOf(t *testing.T) {
	r := recipe("f32", gguf.F32)
	r.context = 4 * batchTokens
	m := r.load(t, 2)
	ids := sequence(batchTokens+9, 3)
	var logits [][]float32
	for _, row := range forward(t, m, Step{m.NewKV(), ids, All}) {
		logits = append(logits, slices.Clone(row))
	}
	var states [][]float32
	for _, row := range forward(t, m, Step{m.NewKV(), ids, States}) {
		states = append(states, slices.Clone(row))
	}
	if len(states) != len(ids) || len(states[0]) != m.config.Dim {
		t.Fatalf("%d states of %d for %d tokens", len(states), len(states[0]), len(ids))
	}
	for i, x := range states {
		for id := range m.config.Vocab {
			sum := 0.0
			for j, w := range matrixRow(&m.output, id) {
				sum += w * float64(x[j])
			}
			if math.Abs(sum-float64(logits[i][id])) > 1e-3*max(1, math.Abs(sum)) {
				t.Fatalf("token %d makes the logit %v of %d, and its state %v", i, logits[i][id], id, sum)
			}
		}
	}
	a, b := m.NewKV(), m.NewKV()
	forward(t, m, Step{a, ids[:5], None})
	rows := forward(t, m, Step{b, ids[:70], All}, Step{a, ids[5:], States}, Step{m.NewKV(), ids[:3], Last}, Step{m.NewKV(), ids[:2], States})
	same(t, "logits before states", rows[:70], logits[:70])
	same(t, "states in a batch", rows[70:len(ids)+65], states[5:])
	same(t, "logits behind states", rows[len(ids)+65:len(ids)+66], logits[2:3])
	same(t, "states at the end", rows[len(ids)+66:], states[:2])
}
