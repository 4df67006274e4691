package scene

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"parley/chat"
	"parley/internal/character"
	"parley/llm"
)

// Turn is how it is decided who of a company answers.
type Turn string

const (
	TurnNatural    Turn = "natural"     // those whom the last message names, and who feel like it
	TurnList       Turn = "list"        // all, in their order
	TurnRoundRobin Turn = "round_robin" // the one behind the last
	TurnPooled     Turn = "pooled"      // one of those who have not spoken since the user did
	TurnManual     Turn = "manual"      // nobody who is not told to
)

// AllTurns lists the ways.
func AllTurns() []Turn {
	return []Turn{TurnNatural, TurnList, TurnRoundRobin, TurnPooled, TurnManual}
}

// A Choice is what decides who of a company answers a chat's last message. The
// same choice has the same outcome.
type Choice struct {
	How      Turn
	Cards    []character.Card
	Muted    []bool // by card: who is not chosen; nil is nobody
	Self     bool   // whether one who spoke last may answer himself
	Messages []Message
	Seed     uint64
}

// Speakers decides which characters answer, in order, by their index; none if
// nobody is to. Unless Self says so, nobody answers himself where there is
// somebody else.
func (c Choice) Speakers() ([]int, error) {
	if !slices.Contains(AllTurns(), c.How) {
		return nil, llm.Errorf(llm.Invalid, "turn", "it is none of natural, list, round_robin, pooled and manual")
	}
	var able []int
	for i := range c.Cards {
		if c.Muted == nil || !c.Muted[i] {
			able = append(able, i)
		}
	}
	if len(able) == 0 || c.How == TurnManual {
		return nil, nil
	}
	spoke := c.spoke()
	last := -1
	if len(spoke) > 0 {
		last = spoke[0]
	}
	answersHimself := false // whether the one who spoke last would
	if n := len(c.Messages); n > 0 && c.Messages[n-1].Role == chat.Assistant {
		answersHimself = !c.Self && len(able) > 1
	}
	draws := rand.New(rand.NewPCG(c.Seed, uint64(len(c.Messages))))
	if c.How == TurnList {
		return able, nil
	}
	if c.How == TurnRoundRobin {
		for i := range c.Cards {
			if next := (last + 1 + i) % len(c.Cards); slices.Contains(able, next) {
				return []int{next}, nil
			}
		}
	}
	if answersHimself {
		able = slices.DeleteFunc(able, func(i int) bool { return i == last })
	}
	if c.How == TurnPooled {
		return []int{c.ofPool(able, last, draws)}, nil
	}
	return c.natural(able, draws), nil
}

// spoke lists who of them spoke, the last first.
func (c Choice) spoke() (all []int) {
	people := newPeople(&Scene{Cards: c.Cards, Messages: c.Messages})
	for _, m := range slices.Backward(c.Messages) {
		if m.Role == chat.Assistant {
			if i := slices.Index(people.chars, people.of(m.Message)); i >= 0 {
				all = append(all, i)
			}
		}
	}
	return all
}

// ofPool draws one of those who have not spoken since the user did; if all
// have, anyone but the last.
func (c Choice) ofPool(able []int, last int, draws *rand.Rand) int {
	from := len(c.Messages)
	for from > 0 && c.Messages[from-1].Role != chat.User {
		from--
	}
	since := c
	since.Messages = c.Messages[from:]
	spoke := since.spoke()
	pool := slices.DeleteFunc(slices.Clone(able), func(i int) bool { return slices.Contains(spoke, i) })
	if len(pool) == 0 {
		pool = slices.DeleteFunc(slices.Clone(able), func(i int) bool { return i == last && len(able) > 1 })
	}
	return pool[draws.IntN(len(pool))]
}

// natural lists those whom the last message names, as it names them, then those
// who feel like it; if there are none, anyone who ever does.
func (c Choice) natural(able []int, draws *rand.Rand) (speak []int) {
	order := draws.Perm(len(c.Cards))
	if n := len(c.Messages); n > 0 {
		text, at := c.Messages[n-1].Text(), map[int]int{}
		for _, i := range able {
			if place := mentioned(text, c.Cards[i]); place >= 0 {
				at[i] = place
				speak = append(speak, i)
			}
		}
		slices.SortStableFunc(speak, func(a, b int) int { return cmp.Compare(at[a], at[b]) })
	}
	for _, i := range order {
		if roll := draws.Float64(); slices.Contains(able, i) && !slices.Contains(speak, i) && roll < c.Cards[i].Talkativeness() {
			speak = append(speak, i)
		}
	}
	for _, shy := range []bool{false, true} {
		for _, i := range order {
			if len(speak) == 0 && slices.Contains(able, i) && (shy || c.Cards[i].Talkativeness() > 0) {
				speak = append(speak, i)
			}
		}
	}
	return speak
}
