package server

import (
	"testing"

	"parley/chat"
	"parley/llm"
)

func TestTheLikeliestOfSeveral(t *testing.T) {
	reply := func(text string, logProbs ...float64) chat.Reply {
		r := chat.Reply{Message: chat.Say(chat.Assistant, text)}
		for _, p := range logProbs {
			r.Tokens = append(r.Tokens, llm.Token{LogProb: p})
		}
		r.Finish.Usage.CompletionTokens = len(logProbs) + 1
		return r
	}
	best, err := likeliest([]chat.Reply{
		reply("b", -1, -1), reply("long, and surer of each token", -0.5, -0.5, -0.5, -0.5, -0.5), reply(""), reply("c", -2),
		reply("x", -3), reply("y", -2), reply("z", -1), reply("w", -1),
	}, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	got, tokens := "", []int{}
	for _, r := range best {
		got += r.Message.Text() + "|"
		tokens = append(tokens, r.Finish.Usage.CompletionTokens)
	}
	if got != "long, and surer of each token|b|z|w|" {
		t.Errorf("chosen were %s", got)
	}
	if tokens[0]+tokens[1] != 3+6+1+2 || tokens[2]+tokens[3] != 4*2 {
		t.Errorf("tokens of all replies are counted as %v", tokens)
	}
	untold := reply("a", 0)
	untold.Accepted.Report.Add("ignored", "logprobs", "")
	for _, r := range []chat.Reply{untold, reply("no tokens")} {
		if _, err := likeliest([]chat.Reply{reply("b", -1), r}, 1, 2); err == nil || llm.AsError(err).Field != "best_of" {
			t.Errorf("%q: %v", r.Message.Text(), err)
		}
	}
}
