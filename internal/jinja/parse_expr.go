package jinja

// expression parses one with an inline if.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	pos := p.cur().pos
	e, err := p.or()
	for n := 0; err == nil && p.skipName("if"); n++ {
		if err := chain(n+1, "inline ifs"); err != nil {
			return nil, err
		}
		c := &condExpr{pos: pos, line: p.lines.of(pos), then: e}
		if c.cond, err = p.or(); err != nil {
			return nil, err
		}
		if p.skipName("else") {
			if c.otherwise, err = p.expression(); err != nil {
				return nil, err
			}
		}
		e, pos = c, p.cur().pos
	}
	return e, err
}

// tuple parses expressions separated by commas; a single one stays itself.
func (p *parser) tuple(withIf, parens bool) (expr, error) {
	pos := p.cur().pos
	var items []expr
	isTuple := false
	for !p.tupleEnd() {
		var e expr
		var err error
		if withIf {
			e, err = p.expression()
		} else {
			e, err = p.or()
		}
		if err != nil {
			return nil, err
		}
		items = append(items, e)
		if !p.skipOp(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if len(items) == 1 {
			return items[0], nil
		}
		if !parens {
			return nil, failf(KindSyntax, "Expected an expression, got '%s'", p.cur().describe())
		}
	}
	return &listExpr{pos: pos, items: items, tuple: true}, nil
}

func (p *parser) tupleEnd() bool {
	c := p.cur()
	return c.kind == tokVariableEnd || c.kind == tokBlockEnd || c.isOp(")")
}

func (p *parser) or() (expr, error) {
	first, err := p.and()
	if err != nil || !p.cur().isName("or") {
		return first, err
	}
	e := &orExpr{[]expr{first}}
	for p.skipName("or") {
		t, err := p.and()
		if err != nil {
			return nil, err
		}
		e.terms = append(e.terms, t)
	}
	return e, nil
}

func (p *parser) and() (expr, error) {
	first, err := p.not()
	if err != nil || !p.cur().isName("and") {
		return first, err
	}
	e := &andExpr{[]expr{first}}
	for p.skipName("and") {
		t, err := p.not()
		if err != nil {
			return nil, err
		}
		e.terms = append(e.terms, t)
	}
	return e, nil
}

func (p *parser) not() (expr, error) {
	if !p.skipName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	e, err := p.not()
	return &notExpr{e}, err
}

func (p *parser) compareOp() string {
	c := p.cur()
	switch {
	case c.kind == tokOperator:
		switch c.text {
		case "==", "!=", "<", "<=", ">", ">=":
			p.i++
			return c.text
		}
	case c.isName("in"):
		p.i++
		return "in"
	case c.isName("not") && p.look().isName("in"):
		p.i += 2
		return "not in"
	}
	return ""
}

func (p *parser) compare() (expr, error) {
	l, err := p.sum()
	if err != nil {
		return nil, err
	}
	pos := p.cur().pos
	op := p.compareOp()
	if op == "" {
		return l, nil
	}
	c := &compareExpr{pos: pos, l: l}
	for ; op != ""; op = p.compareOp() {
		r, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, r)
	}
	return c, nil
}

// chain parses operands of one level, joined to the left.
func (p *parser) chain(operand func() (expr, error), ops ...string) (expr, error) {
	l, err := operand()
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		op, pos := p.cur(), p.cur().pos
		if op.kind != tokOperator || !contains(ops, op.text) {
			return l, nil
		}
		if err := chain(n+1, "operators"); err != nil {
			return nil, err
		}
		p.i++
		r, err := operand()
		if err != nil {
			return nil, err
		}
		if op.text != "+" {
			l = &binaryExpr{pos, op.text, l, r}
			continue
		}
		// A sum in parentheses on the left may be lengthened: addition is done
		// from left to right all the same.
		if sum, ok := l.(*sumExpr); ok {
			sum.pos, sum.terms = append(sum.pos, pos), append(sum.terms, r)
			n--
		} else {
			l = &sumExpr{[]int{pos}, []expr{l, r}}
		}
	}
}

func contains(ops []string, op string) bool {
	for _, o := range ops {
		if o == op {
			return true
		}
	}
	return false
}

func (p *parser) sum() (expr, error)     { return p.chain(p.concat, "+", "-") }
func (p *parser) product() (expr, error) { return p.chain(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expr, error) {
	return p.chain(func() (expr, error) { return p.unary(true) }, "**")
}

func (p *parser) concat() (expr, error) {
	pos := p.cur().pos
	first, err := p.product()
	if err != nil || !p.cur().isOp("~") {
		return first, err
	}
	e := &concatExpr{pos, []expr{first}}
	for p.skipOp("~") {
		t, err := p.product()
		if err != nil {
			return nil, err
		}
		e.terms = append(e.terms, t)
	}
	return e, nil
}

func (p *parser) unary(withFilter bool) (expr, error) {
	var e expr
	var err error
	if c := p.cur(); c.isOp("-") || c.isOp("+") {
		p.i++
		if err := p.enter(); err != nil {
			return nil, err
		}
		var obj expr
		obj, err = p.unary(false)
		p.leave()
		e = &unaryExpr{c.pos, c.text == "-", obj}
	} else {
		e, err = p.primary()
	}
	if err != nil {
		return nil, err
	}
	if e, err = p.postfix(e); err != nil || !withFilter {
		return e, err
	}
	for n := 0; ; n++ {
		if err := chain(n, "filters"); err != nil {
			return nil, err
		}
		switch c := p.cur(); {
		case c.isOp("|"):
			p.i++
			e, err = p.filter(e)
		case c.isName("is"):
			e, err = p.test(e)
		case c.isOp("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		switch t.text {
		case "true", "True":
			return &constExpr{pyTrue}, nil
		case "false", "False":
			return &constExpr{pyFalse}, nil
		case "none", "None":
			return &constExpr{none}, nil
		}
		return &nameExpr{pos: t.pos, name: t.text}, nil
	case tokString:
		s := t.text
		for p.cur().kind == tokString {
			s += p.next().text
		}
		return &constExpr{String(s, FromTemplate)}, nil
	case tokInteger:
		v, err := intLiteral(t.text)
		return &constExpr{v}, err
	case tokFloat:
		return &constExpr{Float{F: parseFloat(t.text)}}, nil
	case tokOperator:
		switch t.text {
		case "(":
			e, err := p.tuple(true, true)
			if err != nil {
				return nil, err
			}
			return e, p.expectOp(")")
		case "[":
			items, err := p.items("]")
			return &listExpr{pos: t.pos, items: items}, err
		case "{":
			return p.dict(t.pos)
		}
	}
	p.i = max(0, p.i-1)
	if t.kind == tokEOF {
		p.i++
	}
	return nil, failf(KindSyntax, "unexpected '%s'", t.describe())
}

// items parses expressions up to a closing bracket.
func (p *parser) items(end string) ([]expr, error) {
	var items []expr
	for !p.cur().isOp(end) {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.cur().isOp(end) {
				break
			}
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
	}
	return items, p.expectOp(end)
}

func (p *parser) dict(pos int) (expr, error) {
	d := &dictExpr{pos: pos}
	for !p.cur().isOp("}") {
		if len(d.keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.cur().isOp("}") {
				break
			}
		}
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp(":"); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.vals = append(d.keys, k), append(d.vals, v)
	}
	return d, p.expectOp("}")
}

func (p *parser) postfix(e expr) (expr, error) {
	for n := 0; ; n++ {
		if err := chain(n, "accesses"); err != nil {
			return nil, err
		}
		var err error
		switch c := p.cur(); {
		case c.isOp("."):
			p.i++
			e, err = p.attribute(e, c.pos)
		case c.isOp("["):
			p.i++
			e, err = p.subscript(e, c.pos)
		case c.isOp("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) attribute(e expr, pos int) (expr, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		return &attrExpr{pos: pos, obj: e, name: t.text, nameV: text(t.text), strMethod: strMethods[t.text], dictMethod: dictMethods[t.text]}, nil
	case tokInteger:
		v, err := intLiteral(t.text)
		return &itemExpr{pos, e, &constExpr{v}}, err
	}
	p.i--
	return nil, failf(KindSyntax, "expected name or number")
}

func (p *parser) subscript(e expr, pos int) (expr, error) {
	var keys []expr
	for !p.cur().isOp("]") {
		if len(keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		k, err := p.subscribed(e, pos)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if err := p.expectOp("]"); err != nil {
		return nil, err
	}
	if len(keys) == 1 {
		if s, ok := keys[0].(*sliceExpr); ok {
			return s, nil
		}
		return &itemExpr{pos, e, keys[0]}, nil
	}
	for _, k := range keys {
		if _, ok := k.(*sliceExpr); ok {
			return nil, failf(KindSyntax, "a slice cannot stand in a tuple of subscripts")
		}
	}
	return &itemExpr{pos, e, &listExpr{pos: pos, items: keys, tuple: true}}, nil
}

// subscribed parses a key or a slice of obj.
func (p *parser) subscribed(obj expr, pos int) (expr, error) {
	s := &sliceExpr{pos: pos, obj: obj}
	var err error
	if !p.skipOp(":") {
		first, err := p.expression()
		if err != nil || !p.skipOp(":") {
			return first, err
		}
		s.start = first
	}
	part := func() (expr, error) {
		if c := p.cur(); c.isOp(":") || c.isOp("]") || c.isOp(",") {
			return nil, nil
		}
		return p.expression()
	}
	if s.stop, err = part(); err != nil {
		return nil, err
	}
	if p.skipOp(":") {
		s.step, err = part()
	}
	return s, err
}

func (p *parser) call(fn expr) (expr, error) {
	c := &callExpr{pos: p.cur().pos, fn: fn}
	if n, ok := fn.(*nameExpr); ok {
		c.pos = n.pos
	}
	return c, p.arguments(&c.args)
}

func (p *parser) arguments(a *argExprs) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	invalid := failf(KindSyntax, "invalid syntax for function call expression")
	for comma := false; !p.cur().isOp(")"); comma = true {
		if comma {
			if err := p.expectOp(","); err != nil {
				return err
			}
			if p.cur().isOp(")") {
				break
			}
		}
		var err error
		switch c := p.cur(); {
		case c.isOp("*"):
			if a.dynPos != nil || a.dynNamed != nil {
				return invalid
			}
			p.i++
			a.dynPos, err = p.expression()
		case c.isOp("**"):
			if a.dynNamed != nil {
				return invalid
			}
			p.i++
			a.dynNamed, err = p.expression()
		case c.kind == tokName && p.look().isOp("="):
			if a.dynNamed != nil {
				return invalid
			}
			p.i += 2
			var e expr
			e, err = p.expression()
			if contains(a.names, c.text) {
				return failf(KindSyntax, "keyword argument repeated: %s", c.text)
			}
			a.names, a.named = append(a.names, c.text), append(a.named, e)
		default:
			if a.dynPos != nil || a.dynNamed != nil || len(a.named) > 0 {
				return invalid
			}
			var e expr
			e, err = p.expression()
			a.pos = append(a.pos, e)
		}
		if err != nil {
			return err
		}
	}
	return p.expectOp(")")
}

// dotted parses the name of a filter or test.
func (p *parser) dotted() (token, error) {
	t, err := p.expect(tokName)
	for err == nil && p.skipOp(".") {
		var part token
		part, err = p.expect(tokName)
		t.text += "." + part.text
	}
	return t, err
}

// filter parses a filter's name and arguments; the | is read.
func (p *parser) filter(obj expr) (*filterExpr, error) {
	t, err := p.dotted()
	if err != nil {
		return nil, err
	}
	f := &filterExpr{pos: t.pos, obj: obj, name: t.text, fn: filters[t.text]}
	if p.cur().isOp("(") {
		err = p.arguments(&f.args)
	}
	return f, err
}

func (p *parser) test(obj expr) (expr, error) {
	p.i++
	negated := p.skipName("not")
	t, err := p.dotted()
	if err != nil {
		return nil, err
	}
	e := &testExpr{pos: t.pos, obj: obj, name: t.text, fn: tests[t.text]}
	c := p.cur()
	switch {
	case c.isOp("("):
		err = p.arguments(&e.args)
	case c.isName("is"):
		return nil, failf(KindSyntax, "You cannot chain multiple tests with is")
	case c.kind == tokName && !c.isName("else") && !c.isName("or") && !c.isName("and"),
		c.kind == tokString, c.kind == tokInteger, c.kind == tokFloat, c.isOp("["), c.isOp("{"):
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		e.args.pos = []expr{arg}
	}
	if negated {
		return &notExpr{e}, err
	}
	return e, err
}
