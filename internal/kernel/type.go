package kernel

// A Type says how the numbers of a matrix are stored.
type Type uint8

// The types that can be multiplied. Each is drawn in the file of its name.
const (
	F32 Type = iota
	F16
	BF16
	Q8_0
	Q4_0
	Q4_K
	Q6_K
	Q4_1
	Q5_0
	Q5_1
	Q2_K
	Q3_K
	Q5_K
	IQ4_NL
	IQ4_XS
	MXFP4
)

// Types lists all types.
var Types = []Type{F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q5_K, IQ4_NL, IQ4_XS, MXFP4}

// An activation is what a row of weights is multiplied with. It is put into
// the form that the type of the weights asks for.
type activation uint8

const (
	floats   activation = iota // float32
	bytes32                    // int8, one scale for 32
	bytes256                   // int8, one scale for 256, and sums of 16
	activations
)

var types = [...]struct {
	name       string
	size       int // elements of a block
	bytes      int // bytes of a block
	activation activation
	row        func(dst []float32, w []byte)
	dot        func(w []byte, x *tile, t int) float32
	expansion  *expansion // instead of dot
}{
	F32:  {"F32", 1, 4, floats, rowF32, dotF32, nil},
	F16:  {"F16", 1, 2, floats, rowF16, dotF16, nil},
	BF16: {"BF16", 1, 2, floats, rowBF16, dotBF16, nil},
	Q8_0: {"Q8_0", 32, 34, bytes32, rowQ8_0, dotQ8_0, nil},
	Q4_0: {"Q4_0", 32, 18, bytes32, rowQ4_0, dotQ4_0, nil},
	Q4_K: {"Q4_K", 256, 144, bytes256, rowQ4_K, dotQ4_K, nil},
	Q6_K: {"Q6_K", 256, 210, bytes256, rowQ6_K, dotQ6_K, nil},

	Q4_1:   {"Q4_1", 32, 20, bytes32, nil, nil, &expansion{Q8_0, 1, 1, expandQ4_1}},
	Q5_0:   {"Q5_0", 32, 22, bytes32, nil, nil, &expansion{Q8_0, 1, 0, expandQ5_0}},
	Q5_1:   {"Q5_1", 32, 24, bytes32, nil, nil, &expansion{Q8_0, 1, 1, expandQ5_1}},
	Q2_K:   {"Q2_K", 256, 84, bytes256, nil, nil, &expansion{Q6_K, 1, 16, expandQ2_K}},
	Q3_K:   {"Q3_K", 256, 110, bytes256, nil, nil, &expansion{Q6_K, 1, 0, expandQ3_K}},
	Q5_K:   {"Q5_K", 256, 176, bytes256, nil, nil, &expansion{Q6_K, 1, 16, expandQ5_K}},
	IQ4_NL: {"IQ4_NL", 32, 18, bytes32, nil, nil, &expansion{Q8_0, 1, 0, expandIQ4_NL}},
	IQ4_XS: {"IQ4_XS", 256, 136, bytes256, rowIQ4_XS, nil, &expansion{Q6_K, 2, 0, expandIQ4_XS}},
	MXFP4:  {"MXFP4", 32, 17, bytes32, rowMXFP4, nil, &expansion{Q8_0, 1, 0, expandMXFP4}},
}

func (t Type) String() string { return types[t].name }

// Expanded reports whether there is no arithmetic for the type itself: rows of
// it become rows of another type each time that they are multiplied, which with
// one token takes several times as long as the multiplication.
func (t Type) Expanded() bool { return types[t].expansion != nil }

// BlockSize is the number of elements of a block.
func (t Type) BlockSize() int { return types[t].size }

// BlockBytes is the number of bytes of a block.
func (t Type) BlockBytes() int { return types[t].bytes }

// RowBytes is the number of bytes of a row of n elements, n being a multiple
// of BlockSize.
func (t Type) RowBytes(n int) int { return n / types[t].size * types[t].bytes }
