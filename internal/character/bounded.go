package character

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"github.com/pelletier/go-toml/v2"

	"parley/internal/limits"
)

// readYAML reads a file in YAML. What nests deeply is refused before it is
// parsed: the parser's time grows with more than the square of the depth. So is
// what grows too large as its aliases are filled in: ten lines can stand for
// more than any memory holds.
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
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return notYAML(err)
	}
	w := weigher{anchors: map[string]int{}}
	for _, doc := range file.Docs {
		w.weigh(doc.Body)
	}
	if err := limits.CardBytes.CheckInt(w.bytes); err != nil {
		return fmt.Errorf("with its aliases filled in: %w", err)
	}
	return notYAML(yaml.Unmarshal(data, fields))
}

// notYAML is an error of the YAML library on one line.
func notYAML(err error) error {
	if err == nil {
		return nil
	}
	line, _, _ := strings.Cut(strings.TrimSpace(yaml.FormatError(err, false, false)), "\n")
	return fmt.Errorf("%s", line)
}

// A weigher counts the bytes of values, those that aliases stand for included.
type weigher struct {
	anchors map[string]int
	bytes   int
}

// weigh gives the bytes of a node, with one for itself.
func (w *weigher) weigh(n ast.Node) int {
	before := w.bytes
	w.bytes++
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			w.weigh(v)
		}
	case *ast.MappingValueNode:
		w.weigh(n.Key)
		w.weigh(n.Value)
	case *ast.MappingKeyNode:
		w.weigh(n.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			w.weigh(v)
		}
	case *ast.TagNode:
		w.weigh(n.Value)
	case *ast.LiteralNode:
		w.weigh(n.Value)
	case *ast.AnchorNode:
		w.anchors[n.Name.GetToken().Value] = w.weigh(n.Value)
	case *ast.AliasNode:
		w.bytes += w.anchors[n.Value.GetToken().Value]
	case ast.ScalarNode:
		w.bytes += len(n.GetToken().Value)
	}
	w.bytes = min(w.bytes, 2*limits.CardBytes.Int())
	return w.bytes - before
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
