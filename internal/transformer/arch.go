package transformer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/internal/kernel"
)

// What an architecture does in its own way is said here, once, and resolved
// into one spec for each layer when a model is loaded: the code that computes
// asks the spec, never the architecture's name.

// A layerSpec is the shape of one layer.
type layerSpec struct {
	traits
	heads, kvHeads   int        // query heads; key and value heads, each serving heads/kvHeads of them
	keyDim, valueDim int        // of a head, as cached
	latent           latentSpec // how keys and values are compressed, if they are
	linear           bool       // a matrix is in place of attention
	taps             int        // of a short convolution in place of attention, or 0
	mamba            mambaSpec  // in place of attention, or of no heads
	mamba1           mamba1Spec // likewise
	delta            deltaSpec  // likewise
	rwkv             rwkvSpec   // likewise
	ffn              int        // inner width of the feed-forward part, or of each expert
	routing          routing    // between experts; of none where there is one feed-forward part for all
	shared           int        // inner width of the expert that sees every token, or 0
	sparsity         sparsity   // of the gates of the feed-forward part
	limit            float32    // what is inside the feed-forward part is cut to it, or inside the expert that sees every token; 0: it is not
	xielu            kernel.XIELU

	rotated int // leading elements of each head that are rotated, even
	source  int // the layer whose keys and values are seen: this one, or an earlier one
	turns   int // which of the model's frequencies, or -1: not rotated

	window window
	scale  float32 // of the products of queries and keys
	values float32 // values are multiplied by it
	alibi  float64 // what distance takes from them: see slopes; 0: nothing
	cap    float32 // they are bent to stay below it, 0: not
	clamp  float32 // queries, keys and values are cut to it, 0: not
	growth growth
}

// mixes reports whether a layer has attention or something in its place: otherwise it is a feed-forward part alone.
func (s *layerSpec) mixes() bool {
	return s.kvHeads > 0 || s.linear || s.taps > 0 || s.stateFloats() > 0
}

// Traits are what the layers of an architecture have in common.
type traits struct {
	pairing     pairing
	centred     bool // norms are LayerNorm, not RMSNorm
	weightless  bool // norms have no weights
	noPreNorms  bool // what attention and feed-forward get is the stream itself
	postNorms   bool // what they give is normalised
	qkNorm      norming
	qkNormLate  bool // after rotation, not before
	qkNormMaybe bool // where the file has its weights
	innerNorms  bool // what heads see is normalised, and what lies between the two halves of a feed-forward part
	valueNorm   bool // values are normalised too, without weights
	parallel    parallelism
	activation  activation
	sinks       bool      // each head may see what is no token
	sinksMaybe  bool      // where the file has their weights
	gates       headGates // what each sees is taken as far as they say
	denseToo    bool      // where there are experts, a feed-forward part beside them, each with norms of its own
	fusedGate   bool      // gate and up lie in one tensor, ffn_up
	attnNorm    string    // the name of the norm before attention, if not attn_norm
	ffnNorm     string    // of that before the feed-forward part, if not ffn_norm
	outputNorm  string    // of that before the output, if not output_norm
}

// pairing says which elements of a head are rotated together.
type pairing uint8

const (
	neighbours pairing = iota // 2i and 2i+1, as llama's converted weights want it
	halves                    // i and i+n/2, as GPT-NeoX
)

// norming says over what queries and keys are normalised before they are rotated.
type norming uint8

const (
	notNormed  norming = iota
	eachHead           // Qwen 3, Gemma 3
	headsOwn           // each head by weights of its own: Command R+
	headsBare          // each head by no weights, in layers that are rotated: Llama 4
	allOfToken         // OLMo 2
)

// parallelism says whether the feed-forward part reads what attention reads, or
// the stream with what attention gave.
type parallelism uint8

const (
	sequential   parallelism = iota
	parallel                 // both read the stream, each by its norm, or by the one that there is
	unlessNormed             // parallel where the feed-forward part has no norm: StableLM
	asFileSays               // use_parallel_residual: GPT-NeoX
)

// An architecture is what general.architecture may name.
type architecture struct {
	traits
	rootOfDim   bool       // embeddings are multiplied by √dim
	multipliers bool       // Granite's: of embeddings, residuals, attention and logits, in the metadata
	logitScale  bool       // logits are multiplied by what the metadata says
	caps        [2]float64 // soft caps of attention and of logits, where the metadata is silent; 0: none
	tied        bool       // the embedding is the output, whatever else is there

	window      int     // where the metadata is silent
	chunked     bool    // windows are chunks
	global      int     // with windows: every so-many-th layer sees all
	globalFirst bool    // the first of so many, not the last
	localBase   bool    // and the others have a frequency of their own
	plainLocal  bool    // or those of all, not stretched: Olmo 3
	localTurns  bool    // and only they are rotated
	windowed    int     // layers of the one model of the family that has windows; 0: all have
	localHeads  bool    // and heads of another size
	halfTurned  bool    // those that see all have half as much of their heads rotated
	limited     bool    // what is inside feed-forward parts is cut where the metadata says so
	unscaled    bool    // products of queries and keys are taken as they are
	scaleByDim  bool    // they are divided by a head's size, not by its root
	sharedKV    bool    // the last layers may see the keys and values of earlier ones
	ownKV       int     // where the metadata is silent, all behind so many do; 0: none
	perLayer    bool    // layers may have embeddings of their own
	altup       bool    // there are several streams, and embeddings of the layers, and LAuReL beside attention
	wide        int     // layers of the one model of the family whose scale is 1/√(dim/heads)
	notRotated  int     // every so-many-th layer
	alibi       float64 // biases by distance in place of rotation, so much where the metadata is silent: see slopes; 0: none
	alibiLayers int     // of the one model of the family that has them; 0: all have
	learned     bool    // positions have embeddings, which are added to those of tokens: where there may be biases by distance, if the file has them
	embedNorm   bool    // embeddings are normalised
	outputIn    bool    // they are the output's rows where the file has none
	sections    bool    // pictures are rotated by several positions, text by one
	stretched   bool    // frequencies may be lower by rope.scaling.alpha
	latent      bool    // keys and values may be compressed
	convolved   bool    // layers without key and value heads have a short convolution in place of attention
	scanned     bool    // layers without key and value heads have Mamba-2 in place of attention
	mamba1      bool    // they have Mamba 1
	mamba1Norms bool    // of which steps, b and c are normalised, by weights
	layersScan  bool    // all layers have one of the two, and no feed-forward part
	besides     bool    // all layers have Mamba-2 beside attention
	lacking     bool    // layers may have a matrix in place of attention, or neither attention nor a feed-forward part
	split       bool    // a layer has Mamba-2, attention or a feed-forward part, and attention is not rotated
	delta       bool    // most layers have Gated DeltaNet in place of attention
	deltaNext   bool    // and heads of values that follow each other share one of keys
	kda         bool    // layers without key and value heads have Kimi Delta Attention in place of attention
	rwkv        int     // all layers have RWKV of this version in place of attention; 0: none has
	channelMix  bool    // and channel mixing in place of a feed-forward part
	growing     bool    // queries grow with their position where the metadata says so
	growsPlain  bool    // those of layers that are not rotated do, whether it does or not
	clamped     bool    // queries, keys and values are cut where the metadata says so
	yarnLogMul  float64 // what rope.scaling.yarn_log_multiplier is multiplied by; 0: it is not read
	expertsSum1 bool    // the weights of the experts used are made to add up to one, where the metadata is silent
	gating      gating
	experts     bool // there may be some
	routed      bool // in the layers for which the file has a router
	narrowed    bool // experts may read a narrower row
	routedFirst bool // routers read what attention reads, before its norm
	weightFirst bool // weights multiply what experts read, not what they give
	shared      int  // how many more see every token, where the metadata is silent
	sharedFFN   bool // one more sees every token, as wide as a feed-forward part where the metadata is silent
	sharedEach  bool // and expert_shared_feed_forward_length is of each
}

var architectures = map[string]architecture{
	"llama":    {traits: traits{pairing: neighbours}, experts: true, expertsSum1: true},
	"qwen2":    {traits: traits{pairing: halves}},
	"qwen3":    {traits: traits{pairing: halves, qkNorm: eachHead}},
	"qwen3moe": {traits: traits{pairing: halves, qkNorm: eachHead}, experts: true, expertsSum1: true},
	"gemma":    {traits: traits{pairing: halves, activation: geGLU}, rootOfDim: true},
	"gemma2":   {traits: traits{pairing: halves, activation: geGLU, postNorms: true}, rootOfDim: true, caps: [2]float64{50, 30}, window: 4096, global: 2, wide: 46},
	"gemma3":   {traits: traits{pairing: halves, activation: geGLU, postNorms: true, qkNorm: eachHead}, rootOfDim: true, global: 6, localBase: true, wide: 62},
	"gemma3n": {traits: traits{pairing: halves, activation: geGLU, postNorms: true, qkNorm: eachHead, valueNorm: true}, rootOfDim: true, caps: [2]float64{0, 30},
		global: 5, localBase: true, unscaled: true, sharedKV: true, ownKV: 20, altup: true},
	"gemma4": {traits: traits{pairing: halves, activation: geGLU, postNorms: true, qkNorm: eachHead, valueNorm: true, denseToo: true}, rootOfDim: true,
		global: 6, localBase: true, localHeads: true, unscaled: true, sharedKV: true, perLayer: true, experts: true, expertsSum1: true, sharedFFN: true},
	"phi3":    {traits: traits{pairing: halves, fusedGate: true}},
	"olmo2":   {traits: traits{pairing: halves, qkNorm: allOfToken, noPreNorms: true, postNorms: true}, global: 4, plainLocal: true},
	"glm4":    {traits: traits{pairing: neighbours, fusedGate: true, postNorms: true}, sections: true},
	"granite": {traits: traits{pairing: neighbours}, multipliers: true},
	"smollm3": {traits: traits{pairing: neighbours}, notRotated: 4},
	"gpt-oss": {traits: traits{pairing: halves, activation: swiGLUClamped, sinks: true, ffnNorm: "post_attention_norm"},
		experts: true, gating: softmaxOfUsed, global: 2},
	"llama4": {traits: traits{pairing: neighbours, qkNorm: headsBare, qkNormLate: true}, chunked: true, window: 8192, global: 4, notRotated: 4, growsPlain: true,
		experts: true, gating: sigmoid, weightFirst: true, shared: 1},
	"mistral3":  {traits: traits{pairing: neighbours}, experts: true, expertsSum1: true, growing: true, yarnLogMul: 1},
	"command-r": {traits: traits{pairing: neighbours, centred: true, parallel: parallel, qkNorm: headsOwn, qkNormMaybe: true}, tied: true, logitScale: true},
	"cohere2":   {traits: traits{pairing: neighbours, centred: true, parallel: parallel}, tied: true, logitScale: true, global: 4, localTurns: true},

	"qwen2moe":       {traits: traits{pairing: halves}, experts: true, sharedFFN: true},
	"qwen2vl":        {traits: traits{pairing: halves}, sections: true},
	"qwen3vl":        {traits: traits{pairing: halves, qkNorm: eachHead}, sections: true},
	"qwen3vlmoe":     {traits: traits{pairing: halves, qkNorm: eachHead}, sections: true, experts: true, expertsSum1: true},
	"granitemoe":     {traits: traits{pairing: neighbours}, multipliers: true, experts: true, expertsSum1: true},
	"granitehybrid":  {traits: traits{pairing: neighbours}, multipliers: true, experts: true, expertsSum1: true, scanned: true},
	"mamba":          {mamba1: true, layersScan: true},
	"mamba2":         {scanned: true, layersScan: true},
	"jamba":          {mamba1: true, mamba1Norms: true, notRotated: 1, experts: true, routed: true},
	"falcon-h1":      {traits: traits{pairing: halves}, scanned: true, besides: true},
	"nemotron_h":     {traits: traits{activation: squaredReLU}, scanned: true, split: true},
	"nemotron_h_moe": {traits: traits{activation: squaredReLU}, scanned: true, split: true, experts: true, gating: sigmoid, narrowed: true},
	"qwen3next": {traits: traits{pairing: halves, qkNorm: eachHead, gates: gatesInQueries, ffnNorm: "post_attention_norm"}, delta: true, deltaNext: true,
		experts: true, expertsSum1: true},
	"qwen35": {traits: traits{pairing: halves, qkNorm: eachHead, gates: gatesInQueries, ffnNorm: "post_attention_norm"}, delta: true, sections: true},
	"qwen35moe": {traits: traits{pairing: halves, qkNorm: eachHead, gates: gatesInQueries, ffnNorm: "post_attention_norm"}, delta: true, sections: true,
		experts: true, expertsSum1: true},
	"deepseek":    {traits: traits{pairing: neighbours}, experts: true},
	"deepseek2":   {traits: traits{pairing: neighbours}, experts: true, latent: true, growing: true, yarnLogMul: 10},
	"kimi-linear": {experts: true, expertsSum1: true, gating: sigmoid, latent: true, notRotated: 1, kda: true},
	"smallthinker": {traits: traits{pairing: halves, activation: reGLU}, global: 4, globalFirst: true, localTurns: true,
		experts: true, expertsSum1: true, routedFirst: true},
	"afmoe": {traits: traits{pairing: halves, qkNorm: eachHead, gates: gatesOfAll, postNorms: true}, rootOfDim: true,
		window: 1024, global: 4, localTurns: true, experts: true, gating: sigmoid},
	"apertus":       {traits: traits{pairing: halves, qkNorm: eachHead, activation: xIELU}},
	"glm4moe":       {traits: traits{pairing: halves, qkNorm: eachHead, qkNormMaybe: true, ffnNorm: "post_attention_norm"}, experts: true, gating: sigmoid, sections: true},
	"chatglm":       {traits: traits{pairing: neighbours, fusedGate: true}},
	"olmo":          {traits: traits{pairing: neighbours, centred: true, weightless: true}, clamped: true},
	"olmoe":         {traits: traits{pairing: halves, qkNorm: allOfToken}, experts: true},
	"starcoder2":    {traits: traits{pairing: halves, centred: true, activation: gelu}},
	"stablelm":      {traits: traits{pairing: halves, centred: true, parallel: unlessNormed, qkNorm: headsOwn, qkNormMaybe: true}},
	"phi2":          {traits: traits{pairing: halves, centred: true, parallel: parallel, activation: gelu}},
	"dbrx":          {traits: traits{pairing: halves, centred: true, ffnNorm: "attn_output_norm"}, clamped: true, experts: true, expertsSum1: true},
	"phimoe":        {traits: traits{pairing: halves}, experts: true, expertsSum1: true},
	"gptneox":       {traits: traits{pairing: halves, centred: true, parallel: asFileSays, activation: gelu}},
	"falcon":        {traits: traits{pairing: halves, centred: true, parallel: parallel, activation: gelu, attnNorm: "attn_norm_2", ffnNorm: "attn_norm"}},
	"baichuan":      {traits: traits{pairing: neighbours}, alibi: 8, alibiLayers: 40},
	"bloom":         {traits: traits{centred: true, activation: gelu}, notRotated: 1, alibi: 8, embedNorm: true},
	"mpt":           {traits: traits{centred: true, activation: gelu}, notRotated: 1, alibi: 8, learned: true, clamped: true},
	"jais":          {traits: traits{centred: true}, notRotated: 1, alibi: 8, scaleByDim: true},
	"refact":        {notRotated: 1, alibi: 8},
	"gpt2":          {traits: traits{centred: true, activation: gelu}, notRotated: 1, learned: true},
	"starcoder":     {traits: traits{centred: true, activation: gelu}, notRotated: 1, learned: true},
	"codeshell":     {traits: traits{pairing: halves, centred: true, activation: gelu}, outputIn: true},
	"openelm":       {traits: traits{pairing: halves, qkNorm: eachHead}, tied: true},
	"maincoder":     {traits: traits{pairing: neighbours, qkNorm: eachHead, qkNormLate: true}},
	"bitnet":        {traits: traits{pairing: halves, innerNorms: true}, tied: true},
	"deci":          {traits: traits{pairing: neighbours}, lacking: true},
	"jais2":         {traits: traits{pairing: halves, centred: true, activation: squaredReLU}},
	"plamo":         {traits: traits{pairing: halves, parallel: parallel}},
	"internlm2":     {traits: traits{pairing: neighbours}},
	"xverse":        {traits: traits{pairing: neighbours}},
	"orion":         {traits: traits{pairing: halves, centred: true}},
	"minicpm":       {traits: traits{pairing: neighbours}, multipliers: true},
	"nemotron":      {traits: traits{pairing: halves, centred: true, activation: squaredReLU}},
	"arcee":         {traits: traits{pairing: neighbours, activation: squaredReLU}},
	"exaone":        {traits: traits{pairing: halves}},
	"exaone4":       {traits: traits{pairing: halves, qkNorm: eachHead, noPreNorms: true, postNorms: true}, window: 4096, global: 4, localTurns: true, windowed: 64},
	"bailingmoe":    {traits: traits{pairing: neighbours}, experts: true},
	"bailingmoe2":   {traits: traits{pairing: halves, qkNorm: eachHead}, experts: true, sharedEach: true},
	"exaone-moe":    {traits: traits{pairing: halves, qkNorm: eachHead}, window: 128, global: 4, localTurns: true, experts: true, gating: sigmoid, shared: 1},
	"ernie4_5":      {traits: traits{pairing: neighbours}},
	"ernie4_5-moe":  {traits: traits{pairing: neighbours}, experts: true, expertsSum1: true},
	"hunyuan-dense": {traits: traits{pairing: halves, qkNorm: eachHead, qkNormLate: true}, stretched: true},
	"hunyuan-moe":   {traits: traits{pairing: halves, qkNorm: eachHead, qkNormLate: true}, experts: true, expertsSum1: true, sharedFFN: true},
	"seed_oss":      {traits: traits{pairing: halves, ffnNorm: "post_attention_norm"}},
	"dots1":         {traits: traits{pairing: halves, qkNorm: eachHead}, experts: true},
	"lfm2":          {traits: traits{pairing: halves, qkNorm: eachHead, outputNorm: "token_embd_norm"}, convolved: true},
	"lfm2moe":       {traits: traits{pairing: halves, qkNorm: eachHead, outputNorm: "token_embd_norm"}, convolved: true, experts: true, expertsSum1: true},
	"rwkv6":         {traits: traits{centred: true, activation: squaredReLU, ffnNorm: "attn_norm_2"}, rwkv: 6, channelMix: true, embedNorm: true},
	"rwkv7":         {traits: traits{centred: true, activation: squaredReLU, ffnNorm: "attn_norm_2"}, rwkv: 7, channelMix: true, embedNorm: true},
	"rwkv6qwen2":    {rwkv: 6},
	"arwkv7":        {rwkv: 7},
	"mimo2":         {traits: traits{pairing: halves, sinks: true, sinksMaybe: true}, global: 6, localBase: true, experts: true, expertsSum1: true, gating: sigmoid, routed: true},
	"step35": {traits: traits{pairing: halves, qkNorm: eachHead, qkNormMaybe: true, gates: gateOfHead}, global: 4, localBase: true, localHeads: true, halfTurned: true, limited: true,
		experts: true, gating: sigmoid, routed: true},
	"minimax-m2": {traits: traits{pairing: halves, qkNorm: allOfToken}, experts: true, expertsSum1: true},
}

func findArchitecture(name string) (architecture, error) {
	a, ok := architectures[name]
	if !ok {
		return a, fmt.Errorf("general.architecture is %q, which is not supported; supported: %s",
			name, strings.Join(slices.Sorted(maps.Keys(architectures)), ", "))
	}
	return a, nil
}
