package server

import (
	"cmp"
	"math"
	"slices"

	"parley/chat"
	"parley/llm"
)

// likeliest keeps n of every so many replies: those whose tokens are likeliest
// on the mean, the likeliest first. The first of them counts the tokens of
// those that are left out.
func likeliest(replies []chat.Reply, n, of int) ([]chat.Reply, error) {
	var kept []chat.Reply
	for group := range slices.Chunk(replies, of) {
		all := 0
		for _, r := range group {
			untold := slices.ContainsFunc(r.Accepted.Report, func(n llm.Note) bool { return n.Code == "ignored" && n.Value == "logprobs" })
			if untold || len(r.Tokens) == 0 && r.Message.Text() != "" {
				return nil, &llm.Error{Code: llm.Unsupported, Field: "best_of", Message: "this model does not tell how likely its tokens are, by which answers are chosen", Hint: "ask for n answers and choose among them"}
			}
			all += r.Finish.Usage.CompletionTokens
		}
		slices.SortStableFunc(group, func(a, b chat.Reply) int { return cmp.Compare(meanLogProb(b), meanLogProb(a)) })
		group = group[:n]
		for _, r := range group[1:] {
			all -= r.Finish.Usage.CompletionTokens
		}
		group[0].Finish.Usage.CompletionTokens = all
		kept = append(kept, group...)
	}
	return kept, nil
}

// meanLogProb is that of a reply's tokens; a reply without any comes last.
func meanLogProb(r chat.Reply) float64 {
	if len(r.Tokens) == 0 {
		return math.Inf(-1)
	}
	sum := 0.0
	for _, t := range r.Tokens {
		sum += t.LogProb
	}
	return sum / float64(len(r.Tokens))
}
