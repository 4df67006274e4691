package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
)

// What is in a prompt is told by counted tokens: a text that reaches the model
// adds its tokens to the count, whatever the model makes of it.

// filler is one token in nearly every vocabulary; how many it really is, is
// measured.
const filler = " the"

func fill(words int) string { return strings.Repeat(filler, words) }

var errNoCount = errors.New("the server does not count the prompt's tokens (usage.prompt_tokens)")

// count is the number of tokens of the prompt that the messages become.
func (s *subject) count(ctx context.Context, messages []message) (int, *exchange, error) {
	r, x, err := s.touch(ctx, messages)
	if err != nil {
		return 0, x, err
	}
	if r.prompt() < 0 {
		return 0, x, errNoCount
	}
	return r.prompt(), x, nil
}

// touch asks for the least reply that there is.
func (s *subject) touch(ctx context.Context, messages []message) (*reply, *exchange, error) {
	return s.chat(ctx, request{Messages: messages, MaxTokens: 1, Temperature: new(0.0)})
}

// calibrate measures the tokens of a filler word, and whether the server
// counts the same each time.
func (s *subject) calibrate(ctx context.Context) error {
	if s.slope != 0 || s.steady != nil {
		return s.steady
	}
	const few, many = 8, 40
	var counts [3]int
	for i, words := range []int{many, few, many} {
		n, _, err := s.count(ctx, []message{say("user", "Hm"+fill(words))})
		if err != nil {
			return err
		}
		counts[i] = n
	}
	if counts[0] != counts[2] {
		s.steady = fmt.Errorf("the server's counts cannot be trusted: the same request has %d prompt tokens the first time and %d the second", counts[0], counts[2])
		return s.steady
	}
	slope := float64(counts[0]-counts[1]) / (many - few)
	if slope < 0.25 || slope > 8 {
		s.steady = fmt.Errorf("the server's counts cannot be trusted: %d words more make %d tokens more", many-few, counts[0]-counts[1])
		return s.steady
	}
	s.slope = slope
	return nil
}

// tokens is how many tokens so many filler words are.
func (s *subject) tokens(words int) float64 { return s.slope * float64(words) }

// near reports whether a count is what was expected, but for what tokenizing
// at a joint may change.
func near(got int, want float64) bool { return math.Abs(float64(got)-want) <= 1.5+want/50 }
