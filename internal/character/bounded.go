package character

import (
	"bytes"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
	"github.com/pelletier/go-toml/v2"

	"parley/internal/limits"
)

// readYAML reads a file in YAML. What nests deeply is refused before it is
// parsed: the parser's time grows with more than the square of the depth.
func readYAML(data []byte, fields *map[string]any) error {
	tokens := lexer.Tokenize(string(data))
	if err := limits.YAMLTokens.CheckInt(len(tokens)); err != nil {
		return err
	}
	depth, line, inLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth = max(0, depth-1)
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType: // - - -, ? ? ?, &a &a
			inLine++
		}
		if err := limits.YAMLDepth.CheckInt(depth + inLine); err != nil {
			return err
		}
	}
	return yaml.Unmarshal(data, fields)
}

// readTOML reads a file in TOML. One with very many keys is refused before it
// is parsed: the parser's time grows with their square.
func readTOML(data []byte, fields *map[string]any) error {
	keys := 0
	for line := range bytes.Lines(data) {
		if bytes.ContainsRune(line, '=') || bytes.HasPrefix(line, []byte("[")) {
			keys++
		}
	}
	if err := limits.TOMLKeys.CheckInt(keys); err != nil {
		return err
	}
	return toml.Unmarshal(data, fields)
}
