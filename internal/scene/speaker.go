package scene

import (
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
)

// Speakers decides which characters answer a chat's last message, in order, by
// their index. Nobody answers himself, where there is somebody else. The same
// seed gives the same.
func Speakers(how Turn, cards []character.Card, messages []Message, seed uint64) ([]int, error) {
	if len(cards) == 0 {
		return nil, llm.Errorf(llm.Invalid, "characters", "there are none")
	}
	people := newPeople(&Scene{Cards: cards, Messages: messages})
	last := -1 // who of them spoke last
	for _, m := range slices.Backward(messages) {
		if m.Role == chat.Assistant {
			last = slices.Index(people.chars, people.of(m.Message))
			break
		}
	}
	switch how {
	case TurnList:
		all := make([]int, len(cards))
		for i := range all {
			all[i] = i
		}
		return all, nil
	case TurnRoundRobin:
		return []int{(last + 1) % len(cards)}, nil
	case TurnNatural:
	default:
		return nil, llm.Errorf(llm.Invalid, "turn", "it is none of natural, list and round_robin")
	}
	silent := -1
	if n := len(messages); n > 0 && messages[n-1].Role == chat.Assistant && len(cards) > 1 {
		silent = last
	}
	draws := rand.New(rand.NewPCG(seed, uint64(len(messages))))
	order := draws.Perm(len(cards))
	var speak []int
	if n := len(messages); n > 0 {
		for i := range cards {
			if i != silent && mentions(messages[n-1].Text(), cards[i]) {
				speak = append(speak, i)
			}
		}
	}
	for _, i := range order {
		if roll := draws.Float64(); i != silent && !slices.Contains(speak, i) && roll < cards[i].Talkativeness() {
			speak = append(speak, i)
		}
	}
	for _, i := range order {
		if len(speak) == 0 && i != silent {
			speak = append(speak, i)
		}
	}
	return speak, nil
}
