package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"parley/llm"
)

// TestDrawsFollowTheGoldenDistributions compares with what
// tools/samplers/samplers.py computed from the samplers' definitions.
func TestDrawsFollowTheGoldenDistributions(t *testing.T) {
	b, err := os.ReadFile("testdata/samplers.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Logits            []float32
		Prompt, Generated []int32
		Params            llm.Params
		Chances           map[int32]float64
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		c.Params.Seed = new(int64(i))
		c.Params.DRYBreakers = []string{"w7 "}
		if err := c.Params.Check(); err != nil {
			t.Fatal(err)
		}
		sm := newSampler(settle(c.Params), c.Prompt, []int32{22}, fakeWords{size: fakeSize})
		for _, id := range c.Generated {
			sm.accept(id)
		}
		const draws = 6000
		var sc scratch
		count := map[int32]float64{}
		for range draws {
			if sm.surprise != nil {
				sm.surprise = sm.surprise[:sm.count+1] // each is the first draw
			}
			id, ok := sm.pick(c.Logits, &sc)
			if !ok {
				t.Fatalf("case %d: nothing was picked", i)
			}
			count[id]++
		}
		what, _ := json.Marshal(c.Params)
		if err := unlikely(count, c.Chances, draws); err != nil {
			t.Errorf("case %d: %v\n%s\ngot  %v\nwant %v", i, err, what, count, c.Chances)
		}
	}
}

// unlikely is an error if draws do not come from a distribution: by Pearson's
// test, at odds of about one in a million, and since no token may come that
// cannot. Tokens that are seldom expected are taken together.
func unlikely(count map[int32]float64, chances map[int32]float64, draws float64) error {
	for id := range count {
		if chances[id] == 0 {
			return fmt.Errorf("token %d came, and cannot", id)
		}
	}
	chi, bins, seldom, came := 0.0, 0, 0.0, 0.0
	add := func(got, want float64) {
		chi += (got - want) * (got - want) / want
		bins++
	}
	for id, c := range chances {
		if c*draws < 8 {
			seldom, came = seldom+c*draws, came+count[id]
			continue
		}
		add(count[id], c*draws)
	}
	if seldom >= 8 {
		add(came, seldom)
	}
	if bins < 2 {
		return nil
	}
	// Wilson and Hilferty's approximation: the cube root is nearly normal.
	free := float64(bins - 1)
	z := (math.Cbrt(chi/free) - (1 - 2/(9*free))) / math.Sqrt(2/(9*free))
	if z > 4.8 {
		return fmt.Errorf("chi-squared is %.1f with %d degrees of freedom", chi, bins-1)
	}
	return nil
}
