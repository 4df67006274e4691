package wire

import (
	"strconv"
	"strings"

	"parley/llm"
)

// Places says where in a request the messages of its conversation stand, in a
// dialect in which one of the client's may be several of ours.
type Places []string

// Locate gives an error that names a message of the conversation the place at
// which the client wrote it.
func (p Places) Locate(err error) error {
	if err == nil {
		return nil
	}
	e := llm.AsError(err)
	rest, ok := strings.CutPrefix(e.Field, "messages[")
	number, rest, found := strings.Cut(rest, "]")
	i, bad := strconv.Atoi(number)
	if !ok || !found || bad != nil || i < 0 || i >= len(p) {
		return err
	}
	located := *e
	located.Field = p[i] + rest
	return &located
}
