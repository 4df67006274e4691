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
	bytes256                   // int8, one scale for 256
	activations
)

// types has for each type how a row is read (row), and how it is multiplied: floats
// by dot, blocks by way of what a block holds. What is packed says panel.
var types = [...]struct {
	name       string
	size       int // elements of a block
	bytes      int // bytes of a block
	activation activation
	row        func(dst []float32, w []byte)
	dot        func(w []byte, x *tile, t int) float32
	block32    func(b *block32, w []byte)
	block256   func(b *block256, w []byte)
	minima     bool // blocks have a minimum
	panel      panel
}{
	F32:  {name: "F32", size: 1, bytes: 4, row: rowF32, dot: dotF32},
	F16:  {name: "F16", size: 1, bytes: 2, row: rowF16, dot: dotF16},
	BF16: {name: "BF16", size: 1, bytes: 2, row: rowBF16, dot: dotBF16},

	Q8_0:   {name: "Q8_0", size: 32, bytes: 34, activation: bytes32, block32: readQ8_0, panel: panel{words: 8, scale: scaleFirst, flip: flipQ8_0}},
	Q4_0:   {name: "Q4_0", size: 32, bytes: 18, activation: bytes32, block32: readQ4_0, panel: panel{words: 4, scale: scaleFirst}},
	Q4_1:   {name: "Q4_1", size: 32, bytes: 20, activation: bytes32, block32: readQ4_1, minima: true, panel: panel{words: 5}},
	Q5_0:   {name: "Q5_0", size: 32, bytes: 22, activation: bytes32, block32: readQ5_0, panel: panel{words: 5, scale: scaleFirst, fifth: 1}},
	Q5_1:   {name: "Q5_1", size: 32, bytes: 24, activation: bytes32, block32: readQ5_1, minima: true, panel: panel{words: 6, fifth: 1}},
	IQ4_NL: {name: "IQ4_NL", size: 32, bytes: 18, activation: bytes32, block32: readIQ4_NL, panel: panel{words: 4, scale: scaleFirst}},
	MXFP4:  {name: "MXFP4", size: 32, bytes: 17, activation: bytes32, block32: readMXFP4, panel: panel{words: 4, scale: scalePower}},

	Q2_K:   {name: "Q2_K", size: 256, bytes: 84, activation: bytes256, block256: readQ2_K, minima: true, panel: panel{words: 21}},
	Q3_K:   {name: "Q3_K", size: 256, bytes: 110, activation: bytes256, block256: readQ3_K, panel: panel{words: 27, scale: scaleLast, order: orderQ3_K}},
	Q4_K:   {name: "Q4_K", size: 256, bytes: 144, activation: bytes256, block256: readQ4_K, minima: true, panel: panel{words: 36}},
	Q5_K:   {name: "Q5_K", size: 256, bytes: 176, activation: bytes256, block256: readQ5_K, minima: true, panel: panel{words: 44, order: orderQ5_K}},
	Q6_K:   {name: "Q6_K", size: 256, bytes: 210, activation: bytes256, block256: readQ6_K, panel: panel{words: 52, scale: scaleLast, order: orderQ6_K}},
	IQ4_XS: {name: "IQ4_XS", size: 256, bytes: 136, activation: bytes256, block256: readIQ4_XS, panel: panel{words: 34}},
}

func (t Type) String() string { return types[t].name }

// BlockSize is the number of elements of a block.
func (t Type) BlockSize() int { return types[t].size }

// BlockBytes is the number of bytes of a block.
func (t Type) BlockBytes() int { return types[t].bytes }

// RowBytes is the number of bytes of a row of n elements, n being a multiple
// of BlockSize.
func (t Type) RowBytes(n int) int { return n / types[t].size * types[t].bytes }
