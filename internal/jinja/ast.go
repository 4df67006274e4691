package jinja

// The nodes of a template. Expressions give a value, statements write.

type expr interface {
	eval(st *state, fr *frame) (Value, error)
}

type stmt interface {
	exec(st *state, fr *frame, out *builder) (signal, error)
}

// A signal is how a statement ended.
type signal int

const (
	done signal = iota
	breaking
	continuing
)

// Expressions.
type (
	constExpr struct{ v Value }

	// nameExpr is a variable. hops and slot are found by the resolver: so many
	// functions out, that slot; slot < 0 is the render's variable ^slot.
	nameExpr struct {
		pos        int
		name       string
		hops, slot int
	}
	listExpr struct {
		pos   int
		items []expr
		tuple bool
	}
	dictExpr struct {
		pos        int
		keys, vals []expr
	}
	attrExpr struct {
		pos   int
		obj   expr
		name  string
		nameV *Str
		// What strings and dicts have under the name, if anything.
		strMethod  strMethod
		dictMethod dictMethod
	}
	itemExpr struct {
		pos      int
		obj, key expr
	}
	sliceExpr struct {
		pos               int
		obj               expr
		start, stop, step expr // nil where left out
	}
	callExpr struct {
		pos  int
		fn   expr
		args argExprs
	}
	filterExpr struct {
		pos  int
		obj  expr // nil: the text of the enclosing block
		name string
		fn   filter
		args argExprs
	}
	testExpr struct {
		pos  int
		obj  expr
		name string
		fn   test
		args argExprs
	}
	notExpr struct{ obj expr }
	andExpr struct{ terms []expr }
	orExpr  struct{ terms []expr }
	// sumExpr is a chain of additions, done from left to right.
	sumExpr struct {
		pos   []int // of each operator
		terms []expr
	}
	binaryExpr struct {
		pos  int
		op   string
		l, r expr
	}
	unaryExpr struct {
		pos int
		neg bool
		obj expr
	}
	concatExpr struct {
		pos   int
		terms []expr
	}
	compareExpr struct {
		pos  int
		l    expr
		ops  []string
		rest []expr
	}
	condExpr struct {
		pos, line             int
		cond, then, otherwise expr // otherwise may be nil
	}
)

// argExprs are the arguments of a call.
type argExprs struct {
	pos              []expr
	names            []string
	named            []expr
	dynPos, dynNamed expr // *args and **kwargs
}

func (a *argExprs) empty() bool {
	return len(a.pos) == 0 && len(a.named) == 0 && a.dynPos == nil && a.dynNamed == nil
}

// A target is what can be assigned to.
type target interface {
	assign(st *state, fr *frame, v Value) error
}

type (
	nameTarget  struct{ nameExpr }
	tupleTarget struct {
		pos   int
		items []target
	}
	attrTarget struct { // ns.name = …
		ns   nameExpr
		attr *Str
	}
)

// Statements.
type (
	dataStmt struct {
		text *Str
	}
	outputStmt struct{ e expr }
	ifStmt     struct {
		arms      []ifArm
		otherwise []stmt
	}
	ifArm struct {
		cond expr
		body []stmt
	}
	forStmt struct {
		pos             int
		target          target
		iter            expr
		test            expr   // nil without
		testTarget      target // the target once more, in the test's own scope
		recursive       bool
		body, otherwise []stmt

		bodyScope, testScope, elseScope *scope
		loopSlot                        int   // of the variable loop; -1 where the body does not use it
		fn                              *proc // of a recursive loop
	}
	setStmt struct {
		pos    int
		target target
		value  expr
		spaces []*nameExpr // what must be a namespace
	}
	setBlockStmt struct {
		pos    int
		target target
		filter *filterExpr // nil without
		body   []stmt
		scope  *scope
	}
	filterStmt struct {
		filter *filterExpr
		body   []stmt
		scope  *scope
	}
	macroStmt struct {
		target nameTarget
		macro  *macroDef
	}
	// callStmt is {% call %}: fn gets the body as its argument caller.
	callStmt struct {
		pos  int
		call *callExpr
		body *macroDef
	}
	// generationStmt marks what an assistant wrote.
	generationStmt struct {
		pos  int
		body *macroDef
	}
	withStmt struct {
		targets []target
		values  []expr
		body    []stmt
		scope   *scope
	}
	scopeStmt struct { // {% autoescape false %}
		body  []stmt
		scope *scope
	}
	// blockStmt is {% block %}: its body sees the template's variables, and
	// those around it where it is scoped.
	blockStmt struct {
		pos    int
		scoped bool
		body   *macroDef
	}
	breakStmt    struct{ pos int }
	continueStmt struct{ pos int }
	// failStmt is a statement that can only fail, such as {% include %}.
	failStmt struct {
		pos int
		msg string
	}
)

// macroDef is the body of a macro or of a call block.
type macroDef struct {
	name                         string
	params                       []nameTarget
	defaults                     []expr // of the last parameters
	body                         []stmt
	usesCaller, usesKw, usesArgs bool
	caller, kwargs, varargs      int // slots, where used
	scope                        *scope
	fn                           *proc
}
