package jinja

import (
	"slices"
	"strings"
)

// parser makes the tree out of the tokens: this file has the statements,
// parse_expr.go the expressions.
type parser struct {
	toks  []token
	i     int
	depth int
	max   int // of depth
	lines lineCounter
	open  []opened // blocks that are not closed yet
}

// opened is a block and the tags that may follow it.
type opened struct {
	tag  string
	ends []string
}

// wanted says which tags the parser was looking for, for messages.
func (p *parser) wanted() string {
	if len(p.open) == 0 {
		return ""
	}
	o := p.open[len(p.open)-1]
	return " Jinja was looking for the following tags: '" + strings.Join(o.ends, "' or '") + "'. The innermost block that needs to be closed is '" + o.tag + "'."
}

// lineCounter gives the lines of positions; it is quick where they are near each other.
type lineCounter struct {
	src       string
	pos, line int
}

func (c *lineCounter) of(pos int) int {
	if pos < c.pos {
		c.line -= strings.Count(c.src[pos:c.pos], "\n")
	} else {
		c.line += strings.Count(c.src[c.pos:pos], "\n")
	}
	c.pos = pos
	return c.line + 1
}

func (p *parser) cur() token { return p.toks[p.i] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

func (p *parser) look() token { return p.toks[min(p.i+1, len(p.toks)-1)] }

func (t token) isOp(op string) bool     { return t.kind == tokOperator && t.text == op }
func (t token) isName(name string) bool { return t.kind == tokName && t.text == name }

func (p *parser) skipOp(op string) bool {
	if p.cur().isOp(op) {
		p.i++
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.cur().isName(name) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expectOp(op string) error {
	if p.skipOp(op) {
		return nil
	}
	return failf(KindSyntax, "expected token '%s', got '%s'", op, p.cur().describe())
}

func (p *parser) expect(kind tokenKind) (token, error) {
	if p.cur().kind == kind {
		return p.next(), nil
	}
	return token{}, failf(KindSyntax, "expected token '%s', got '%s'", tokenNames[kind], p.cur().describe())
}

// enter counts a level of nesting; the caller defers p.leave.
func (p *parser) enter() error {
	p.depth++
	if p.depth > p.max {
		return failf(KindLimit, "the template nests deeper than %d levels (limit template_depth)", p.max)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// body parses data, prints and statements up to a tag that begins with one of
// the end names, which stays the current token; without names up to the end of
// the template.
func (p *parser) body(ends ...string) ([]stmt, error) {
	var out []stmt
	for {
		t := p.cur()
		switch t.kind {
		case tokEOF:
			if len(ends) == 0 {
				return out, nil
			}
			return nil, failf(KindSyntax, "Unexpected end of template.%s", p.wanted())
		case tokData:
			p.i++
			out = append(out, &dataStmt{text(t.text)})
		case tokVariableBegin:
			p.i++
			e, err := p.tuple(true, false)
			if err != nil {
				return nil, err
			}
			if _, err := p.expect(tokVariableEnd); err != nil {
				return nil, err
			}
			out = append(out, &outputStmt{e})
		case tokBlockBegin:
			p.i++
			if c := p.cur(); c.kind == tokName && slices.Contains(ends, c.text) {
				return out, nil
			}
			s, err := p.statement()
			if err != nil {
				return nil, err
			}
			if s != nil {
				out = append(out, s...)
			}
			if _, err := p.expect(tokBlockEnd); err != nil {
				return nil, err
			}
		}
	}
}

// block parses the rest of an opening tag and a body; the ending name is read.
func (p *parser) block(ends ...string) ([]stmt, string, error) {
	p.skipOp(":")
	if _, err := p.expect(tokBlockEnd); err != nil {
		return nil, "", err
	}
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer p.leave()
	p.open = append(p.open, opened{strings.TrimPrefix(ends[len(ends)-1], "end"), ends})
	body, err := p.body(ends...)
	p.open = p.open[:len(p.open)-1]
	if err != nil {
		return nil, "", err
	}
	return body, p.next().text, nil
}

func one(s stmt, err error) ([]stmt, error) {
	if err != nil {
		return nil, err
	}
	return []stmt{s}, nil
}

func (p *parser) statement() ([]stmt, error) {
	t, err := p.expect(tokName)
	if err != nil {
		return nil, failf(KindSyntax, "tag name expected")
	}
	switch t.text {
	case "if":
		return one(p.ifStatement())
	case "for":
		return one(p.forStatement(t.pos))
	case "set":
		return one(p.setStatement(t.pos))
	case "macro":
		return one(p.macroStatement())
	case "call":
		return one(p.callStatement(t.pos))
	case "filter":
		return one(p.filterStatement())
	case "generation":
		def, err := p.anonymous("endgeneration")
		return one(&generationStmt{t.pos, def}, err)
	case "with":
		return one(p.withStatement())
	case "print":
		return p.printStatement()
	case "break":
		return []stmt{&breakStmt{t.pos}}, nil
	case "continue":
		return []stmt{&continueStmt{t.pos}}, nil
	case "block":
		return one(p.blockStatement(t.pos))
	case "autoescape":
		return one(p.autoescapeStatement(t.pos))
	case "include", "import", "from", "extends":
		for p.cur().kind != tokBlockEnd && p.cur().kind != tokEOF {
			p.i++
		}
		return []stmt{&failStmt{t.pos, "{% " + t.text + " %} has nothing to load from: a chat template stands alone"}}, nil
	}
	p.i--
	return nil, failf(KindSyntax, "Encountered unknown tag '%s'.%s", t.text, p.wanted())
}

func (p *parser) ifStatement() (stmt, error) {
	s := &ifStmt{}
	for {
		cond, err := p.tuple(false, false)
		if err != nil {
			return nil, err
		}
		body, end, err := p.block("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		s.arms = append(s.arms, ifArm{cond, body})
		switch end {
		case "elif":
			continue
		case "else":
			if s.otherwise, _, err = p.block("endif"); err != nil {
				return nil, err
			}
		}
		return s, nil
	}
}

func (p *parser) forStatement(pos int) (stmt, error) {
	s := &forStmt{pos: pos}
	start := p.i
	var err error
	if s.target, err = p.targets(false); err != nil {
		return nil, err
	}
	end := p.i
	p.i = start // once more: the test has variables of its own
	if s.testTarget, err = p.targets(false); err != nil {
		return nil, err
	}
	p.i = end
	if !p.skipName("in") {
		return nil, failf(KindSyntax, "expected token 'in', got '%s'", p.cur().describe())
	}
	if s.iter, err = p.tuple(false, false); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if s.test, err = p.expression(); err != nil {
			return nil, err
		}
	}
	s.recursive = p.skipName("recursive")
	var ended string
	if s.body, ended, err = p.block("else", "endfor"); err != nil {
		return nil, err
	}
	if ended == "else" {
		if s.otherwise, _, err = p.block("endfor"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *parser) setStatement(pos int) (stmt, error) {
	tgt, err := p.targets(true)
	if err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		value, err := p.tuple(true, false)
		if err != nil {
			return nil, err
		}
		return &setStmt{pos: pos, target: tgt, value: value, spaces: namespaces(tgt, nil)}, nil
	}
	s := &setBlockStmt{pos: pos, target: tgt}
	if p.cur().isOp("|") {
		if s.filter, err = p.blockFilter(true); err != nil {
			return nil, err
		}
	}
	if s.body, _, err = p.block("endset"); err != nil {
		return nil, err
	}
	return s, nil
}

// namespaces lists the variables that an assignment needs to be namespaces.
func namespaces(t target, to []*nameExpr) []*nameExpr {
	switch t := t.(type) {
	case *attrTarget:
		to = append(to, &t.ns)
	case *tupleTarget:
		for _, item := range t.items {
			to = namespaces(item, to)
		}
	}
	return to
}

// blockFilter parses the filters of a block; the innermost has no operand.
func (p *parser) blockFilter(pipe bool) (*filterExpr, error) {
	if pipe {
		p.i++
	}
	var e expr
	for n := 0; ; n++ {
		if err := chain(n+1, "filters"); err != nil {
			return nil, err
		}
		f, err := p.filter(e)
		if err != nil {
			return nil, err
		}
		if !p.skipOp("|") {
			return f, nil
		}
		e = f
	}
}

func (p *parser) filterStatement() (stmt, error) {
	f, err := p.blockFilter(false)
	if err != nil {
		return nil, err
	}
	body, _, err := p.block("endfilter")
	return &filterStmt{filter: f, body: body}, err
}

func (p *parser) macroStatement() (stmt, error) {
	name, err := p.expect(tokName)
	if err != nil {
		return nil, err
	}
	def := &macroDef{name: name.text}
	if err := p.signature(def); err != nil {
		return nil, err
	}
	if def.body, _, err = p.block("endmacro"); err != nil {
		return nil, err
	}
	if reserved(name.text) {
		return nil, failf(KindSyntax, "can't assign to 'const'")
	}
	return &macroStmt{target: nameTarget{nameExpr{pos: name.pos, name: name.text}}, macro: def}, nil
}

// signature parses the parameters of a macro or call block.
func (p *parser) signature(def *macroDef) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.cur().isOp(")") {
		if len(def.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		t, err := p.expect(tokName)
		if err != nil {
			return err
		}
		if reserved(t.text) {
			return failf(KindSyntax, "can't assign to 'const'")
		}
		if p.skipOp("=") {
			e, err := p.expression()
			if err != nil {
				return err
			}
			def.defaults = append(def.defaults, e)
		} else if len(def.defaults) > 0 {
			return failf(KindSyntax, "non-default argument follows default argument")
		}
		def.params = append(def.params, nameTarget{nameExpr{pos: t.pos, name: t.text}})
	}
	return p.expectOp(")")
}

// anonymous parses a body that is called like a macro.
func (p *parser) anonymous(end string) (*macroDef, error) {
	body, _, err := p.block(end)
	return &macroDef{body: body}, err
}

func (p *parser) callStatement(pos int) (stmt, error) {
	def := &macroDef{}
	if p.cur().isOp("(") {
		if err := p.signature(def); err != nil {
			return nil, err
		}
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := e.(*callExpr)
	if !ok {
		return nil, failf(KindSyntax, "expected call")
	}
	if def.body, _, err = p.block("endcall"); err != nil {
		return nil, err
	}
	return &callStmt{pos, call, def}, nil
}

func (p *parser) withStatement() (stmt, error) {
	s := &withStmt{}
	for p.cur().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		t, err := p.targets(false)
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		s.targets, s.values = append(s.targets, t), append(s.values, v)
	}
	var err error
	s.body, _, err = p.block("endwith")
	return s, err
}

func (p *parser) printStatement() ([]stmt, error) {
	var out []stmt
	for p.cur().kind != tokBlockEnd {
		if len(out) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, &outputStmt{e})
	}
	return out, nil
}

func (p *parser) blockStatement(pos int) (stmt, error) {
	name, err := p.expect(tokName)
	if err != nil {
		return nil, err
	}
	scoped := p.skipName("scoped")
	p.skipName("required")
	body, _, err := p.block("endblock")
	p.skipName(name.text)
	return &blockStmt{pos, scoped, &macroDef{name: name.text, body: body}}, err
}

func (p *parser) autoescapeStatement(pos int) (stmt, error) {
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	if c, ok := e.(*constExpr); !ok || truth(c.v) {
		return nil, failf(KindSyntax, "autoescape can only be turned off: a prompt is not HTML")
	}
	body, _, err := p.block("endautoescape")
	return &scopeStmt{body: body}, err
}

func reserved(name string) bool {
	switch name {
	case "true", "false", "none", "True", "False", "None":
		return true
	}
	return false
}

// targets parses what is assigned to: a name, a tuple of names, and where
// spaces is set ns.attribute too.
func (p *parser) targets(spaces bool) (target, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	pos := p.cur().pos
	var items []target
	isTuple := false
	for {
		c := p.cur()
		if len(items) > 0 && (c.isOp(")") || c.isOp("=") || c.kind == tokBlockEnd) {
			break
		}
		t, err := p.target(spaces)
		if err != nil {
			return nil, err
		}
		items = append(items, t)
		if !p.skipOp(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		return items[0], nil
	}
	return &tupleTarget{pos, items}, nil
}

func (p *parser) target(spaces bool) (target, error) {
	t := p.next()
	switch {
	case t.kind == tokName && reserved(t.text):
		p.i--
		return nil, failf(KindSyntax, "can't assign to 'const'")
	case t.kind == tokName:
		n := nameExpr{pos: t.pos, name: t.text}
		if spaces && p.skipOp(".") {
			attr, err := p.expect(tokName)
			return &attrTarget{n, text(attr.text)}, err
		}
		return &nameTarget{n}, nil
	case t.isOp("("):
		inner, err := p.targets(spaces)
		if err != nil {
			return nil, err
		}
		return inner, p.expectOp(")")
	}
	p.i--
	return nil, failf(KindSyntax, "can't assign to '%s'", t.describe())
}
