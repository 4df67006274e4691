package enginetest

// kinds are the fakes by name, one file for each family.
var kinds = map[string]*kind{
	"llamacpp":       llamaCPP,
	"vllm":           vLLM,
	"sglang":         sgLang,
	"mlc":            mlc,
	"llamacpppython": llamaCPPPython,
	"lmstudio":       lmStudio,
	"localai":        localAI,
	"tgi":            tgi,
	"textgen":        textgen,
	"koboldcpp":      koboldCPP,
	"koboldai":       koboldAI,
	"ollama":         ollama,
	"simpleai":       simpleAI,
	"basaran":        basaran,
	"openai":         hosted,
	"anthropic":      anthropic,
}
