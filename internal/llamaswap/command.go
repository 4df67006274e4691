package llamaswap

import (
	"errors"
	"strings"
)

// splitCommand divides a command as llama-swap does: lines that begin with #
// are left out, lines may end in a backslash, and words are quoted as in a
// POSIX shell, of which nothing else is understood.
func splitCommand(text string) (words []string, err error) {
	var lines []string
	for line := range strings.SplitSeq(withoutComments(text), "\n") {
		if cut, continued := strings.CutSuffix(strings.TrimSpace(line), `\`); continued {
			line = cut + " "
		}
		lines = append(lines, line)
	}
	var word strings.Builder
	inWord := false
	text = strings.Join(lines, "\n")
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
			continue
		case '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("a ' is not closed")
			}
			word.WriteString(text[i+1 : i+1+end])
			i += end + 1
		case '"':
			n, err := doubleQuoted(&word, text[i+1:])
			if err != nil {
				return nil, err
			}
			i += n
		case '\\':
			if i++; i < len(text) {
				word.WriteByte(text[i])
			}
		default:
			word.WriteByte(c)
		}
		inWord = true
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// withoutComments leaves lines out that begin with #. That comes before macros,
// which may have several lines.
func withoutComments(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// doubleQuoted reads up to the closing quote and gives how many bytes that
// takes. In it a backslash protects only what would mean something.
func doubleQuoted(word *strings.Builder, text string) (int, error) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\' && i+1 < len(text) && strings.IndexByte("\"\\$`", text[i+1]) >= 0:
			i++
			word.WriteByte(text[i])
		default:
			word.WriteByte(c)
		}
	}
	return 0, errors.New(`a " is not closed`)
}
