package grammar

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic(s)
	}
	return r
}

func TestRangesOfNumbersHoldWhatTheyShould(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	pick := func() string {
		s := fmt.Sprint(random.IntN(130) - 60)
		for i, n := 0, random.IntN(3); i < n; i++ {
			if i == 0 {
				s += "."
			}
			s += string("0159"[random.IntN(4)])
		}
		return s
	}
	var numbers []string
	for i := -70; i <= 130; i++ {
		numbers = append(numbers, fmt.Sprint(i))
	}
	for range 4000 {
		numbers = append(numbers, pick())
	}
	numbers = append(numbers, "-0", "-0.0", "0.0", "1000000", "-1000000.5")
	for range 400 {
		lo, hi := &bound{rat(pick()), random.IntN(2) == 0}, &bound{rat(pick()), random.IntN(2) == 0}
		switch random.IntN(6) {
		case 0:
			lo = nil
		case 1:
			hi = nil
		case 2:
			hi = &bound{lo.at, random.IntN(2) == 0}
		}
		if lo == nil && hi == nil {
			continue
		}
		for _, whole := range []bool{false, true} {
			e, ok := decimals(lo, hi)
			if whole {
				e = integers(lo, hi)
			} else if !ok {
				t.Fatal("no decimals")
			}
			var d definition
			g, err := d.compile(d.define("number", e))
			for _, s := range numbers {
				x := rat(s)
				want := inside(x, lo, hi)
				if whole {
					want = want && !strings.Contains(s, ".") && s != "-0"
				}
				if got := err == nil && g.Matches(s); got != want {
					t.Fatalf("%s in %v %v (whole %v): got %v", s, lo, hi, whole, got)
				}
			}
		}
	}
}

func (b *bound) String() string {
	if b == nil {
		return "none"
	}
	return fmt.Sprint(b.at.RatString(), " strict ", b.strict)
}

func inside(x *big.Rat, lo, hi *bound) bool {
	if lo != nil {
		if c := x.Cmp(lo.at); c < 0 || c == 0 && lo.strict {
			return false
		}
	}
	if hi != nil {
		if c := x.Cmp(hi.at); c > 0 || c == 0 && hi.strict {
			return false
		}
	}
	return true
}
