package chatformat_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"parley/chatformat"
)

// TestNoPolicyLosesAnything lays random conversations out in every built-in
// format under every policy: each content is there once, and in order unless
// the policy is one that moves system messages.
func TestNoPolicyLosesAnything(t *testing.T) {
	for _, name := range chatformat.Names() {
		f := lookup(t, name)
		for _, policy := range chatformat.Policies() {
			r := rand.New(rand.NewPCG(3, 4))
			for i := range 12 {
				c := randomConversation(r)
				c.Layout.Policy = policy
				out, err := f.Render(c)
				if err != nil {
					if policy == chatformat.PolicyError {
						continue
					}
					t.Fatalf("%s, %s, conversation %d: %v", name, policy, i, err)
				}
				text, at := out.Prompt.String(), 0
				moves := policy == chatformat.PolicyHoistAll || policy == chatformat.PolicyHoistTrailing
				for k := range c.Messages {
					word := fmt.Sprintf("Sentinel%02dq", k)
					if n := strings.Count(text, word); n != 1 {
						t.Fatalf("%s, %s, conversation %d: message %d is there %d times: %s", name, policy, i, k, n, text)
					}
					if j := strings.Index(text, word); j < at && !moves {
						t.Fatalf("%s, %s, conversation %d: message %d is out of order: %s", name, policy, i, k, text)
					} else {
						at = j
					}
				}
			}
		}
	}
}
