package upstream

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// kinds are all families of engines, in the order in which they are looked
// for: those that imitate others come before them.
var kinds = []*Kind{
	{
		Name: "parley", Title: "Parley", Ports: []int{7275}, Default: AsChat,
		complete: completions("/v1/completions", vocabParley, withUsage),
		chat:     chatParley,
		facts:    facts{embeds: true, tokens: true, sampling: vocabParley, mostStops: 512, endless: true, addsBOS: true},
		asks: asks{
			signs:  []sign{{path: "/parley/v1/models", is: func(d *document) bool { return d.has("models") }}},
			models: listModels("/v1/models"), describe: describeParley, count: countParley,
		},
	},
	{
		Name: "koboldcpp", Title: "KoboldCpp", Ports: []int{5001}, Default: AsModel,
		complete: koboldStream,
		chat:     chatKobold,
		facts:    facts{embeds: true, sampling: vocabKobold, truncates: true, addsBOS: true},
		asks: asks{
			signs: []sign{{path: "/api/extra/version", is: func(d *document) bool {
				return strings.Contains(strings.ToLower(d.text("result")), "kobold")
			}}},
			version: told("/api/extra/version", "version"),
			models:  listKobold, describe: describeKobold, count: countKobold, abort: abortKobold,
			identity: identifyByName(listKobold),
		},
	},
	{
		Name: "textgen", Title: "text-generation-webui", Ports: []int{5000}, Default: AsModel,
		complete: completions("/v1/completions", vocabTextgen, withTextgen),
		chat:     chatTextgen,
		facts:    facts{embeds: true, begun: true, sampling: vocabTextgen, truncates: true, addsBOS: true},
		asks: asks{
			signs:  []sign{{path: "/v1/internal/model/info", is: func(d *document) bool { return d.has("model_name") }}},
			models: listTextgen, count: countTextgen, identity: identifyByName(listTextgen),
		},
	},
	{
		Name: "lmstudio", Title: "LM Studio", Ports: []int{1234}, Default: AsChat,
		complete: completions("/v1/completions", vocabLMStudio, withUsage),
		chat:     chatLMStudio,
		facts:    facts{embeds: true, sampling: vocabLMStudio, addsBOS: true, endless: true},
		asks: asks{
			signs:  []sign{{path: "/api/v0/models", is: func(d *document) bool { return d.has("data") }}},
			models: listLMStudio, describe: describeLMStudio,
		},
	},
	{
		Name: "localai", Title: "LocalAI", Default: AsChat,
		complete: completions("/v1/completions", vocabLocalAI, withUsage),
		chat:     chatLocalAI,
		facts:    facts{embeds: true, sampling: vocabLocalAI, addsBOS: true, endless: true},
		asks: asks{
			signs:   []sign{{path: "/system", is: func(d *document) bool { return d.has("backends") }}},
			version: told("/version", "version"), models: listModels("/v1/models"),
		},
	},
	{
		Name: "llamacpp", Title: "llama.cpp's server", Ports: []int{8080}, Default: AsModel,
		complete: llamaCompletion,
		chat:     chatLlama,
		facts:    facts{embeds: true, tokens: true, sampling: vocabLlamaCPP, endless: true, addsBOS: true},
		asks: asks{
			signs: []sign{
				{path: "/props", is: func(d *document) bool { return d.has("default_generation_settings") }},
				{path: "/v1/models", is: func(d *document) bool { return d.owner("llamacpp") }},
			},
			version: told("/props", "build_info"),
			models:  listModels("/v1/models"), describe: describeLlama, count: countLlama, words: newRouteWords, identity: identifyLlama,
		},
	},
	{
		Name: "ollama", Title: "Ollama", Ports: []int{11434}, Default: AsChat,
		complete: ollamaGenerate,
		chat:     chatOllama,
		facts:    facts{embeds: true, sampling: vocabOllama, endless: true, resizes: true, addsBOS: true},
		asks: asks{
			signs:   []sign{{path: "/api/version", is: func(d *document) bool { return d.text("version") != "" }}},
			version: told("/api/version", "version"),
			models:  listOllama, describe: describeOllama,
		},
	},
	{
		Name: "vllm", Title: "vLLM", Ports: []int{8000}, Default: AsChat,
		complete: completions("/v1/completions", vocabVLLM, withVLLM),
		chat:     chatVLLM,
		facts:    facts{embeds: true, begun: true, tokens: true, sampling: vocabVLLM, addsBOS: true},
		asks: asks{
			signs:   []sign{{path: "/v1/models", is: func(d *document) bool { return d.owner("vllm") }}},
			version: told("/version", "version"),
			models:  listModels("/v1/models"), describe: describeOpenAI, count: countVLLM,
		},
	},
	{
		Name: "sglang", Title: "SGLang", Ports: []int{30000}, Default: AsChat,
		complete: completions("/v1/completions", vocabSGLang, withSpecials),
		chat:     chatSGLang,
		facts:    facts{embeds: true, tokens: true, sampling: vocabSGLang, addsBOS: true},
		asks: asks{
			signs: []sign{
				{path: "/v1/models", is: func(d *document) bool { return d.owner("sglang") }},
				{path: "/get_model_info", is: func(d *document) bool { return d.has("model_path") }},
			},
			models: listModels("/v1/models"), describe: describeOpenAI,
		},
	},
	{
		Name: "tgi", Title: "Text Generation Inference", Ports: []int{3000}, Default: AsChat,
		complete: tgiStream,
		chat:     chatTGI,
		facts:    facts{sampling: vocabTGI, mostStops: 4, addsBOS: true},
		asks: asks{
			signs:   []sign{{path: "/info", is: func(d *document) bool { return d.has("model_id") }}},
			version: told("/info", "version"),
			models:  listTGI, describe: describeTGI, count: countTGI,
		},
	},
	{
		Name: "mlc", Title: "MLC-LLM", Ports: []int{8000}, Default: AsChat,
		complete: completions("/v1/completions", vocabMLC, withUsage),
		chat:     chatMLC,
		facts:    facts{embeds: true, tokens: true, sampling: vocabMLC, endless: true},
		asks: asks{
			signs:  []sign{{path: "/v1/models", is: func(d *document) bool { return d.owner("MLC-LLM") }}},
			models: listModels("/v1/models"),
		},
	},
	{
		Name: "llamacpppython", Title: "llama-cpp-python's server", Ports: []int{8000}, Default: AsChat,
		complete: completions("/v1/completions", vocabLlamaCPPPython, withoutEnd),
		chat:     chatLlamaCPPPython,
		facts:    facts{embeds: true, sampling: vocabLlamaCPPPython, endless: true, addsBOS: true},
		asks: asks{
			signs:  []sign{{path: "/v1/models", is: func(d *document) bool { return d.owner("me") }}},
			models: listModels("/v1/models"), count: countLlamaPython,
		},
	},
	{
		Name: "koboldai", Title: "KoboldAI", Ports: []int{5000}, Default: AsModel,
		complete: koboldWhole,
		facts:    facts{sampling: vocabKoboldUnited, mostTokens: 512, mostStops: 10, truncates: true, addsBOS: true, runsOn: true, mute: true},
		asks: asks{
			signs:   []sign{{path: "/api/v1/info/version", is: func(d *document) bool { return d.text("result") != "" }}},
			version: told("/api/v1/info/version", "result"),
			models:  listKobold, describe: describeKoboldAI,
		},
	},
	{
		Name: "basaran", Title: "Basaran", Default: AsModel,
		complete: completions("/v1/completions", vocabBasaran, nil),
		facts:    facts{sampling: vocabBasaran, addsBOS: true, slowly: true},
		asks: asks{
			signs: []sign{{path: "/v1/models", is: func(d *document) bool {
				return d.has("data") && strings.HasPrefix(d.header.Get("Server"), "waitress")
			}}},
			models: listModels("/v1/models"),
		},
	},
	{
		Name: "simpleai", Title: "simpleAI", Default: AsModel,
		complete: ending(completions("/completions", vocabSimpleAI, nil)),
		chat:     chatSimpleAI,
		facts:    facts{sampling: vocabSimpleAI, addsBOS: true, slowly: true},
		asks: asks{
			signs:  []sign{{path: "/models", is: func(d *document) bool { return d.has("data") }}},
			models: listModels("/models"),
		},
	},
	{
		Name: "anthropic", Title: "Anthropic", Default: AsChat,
		chat:  chatAnthropic,
		facts: facts{sampling: vocabAnthropic, unlisted: true, keyHeader: "X-Api-Key", headers: map[string]string{"Anthropic-Version": "2023-06-01"}},
		asks: asks{
			signs:  []sign{{host: "api.anthropic.com"}},
			models: listModels("/v1/models"),
		},
	},
	{
		Name: "openai", Title: "a server that speaks OpenAI's protocol", Default: AsChat,
		complete: completions("/v1/completions", vocabOpenAI, withUsage),
		chat:     chatOpenAI,
		facts:    facts{embeds: true, sampling: vocabOpenAI, mostStops: 4, unlisted: true, addsBOS: true},
		asks: asks{
			signs:  []sign{{path: "/v1/models", is: func(d *document) bool { return d.has("data") }}},
			models: listModels("/v1/models"), describe: describeOpenAI,
		},
	},
}

// KindNamed finds a kind by its name; nil: there is none.
func KindNamed(name string) *Kind {
	i := slices.IndexFunc(kinds, func(k *Kind) bool { return k.Name == name })
	if i < 0 {
		return nil
	}
	return kinds[i]
}

// KindNames lists the names of all kinds.
func KindNames() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return names
}

var digits = regexp.MustCompile(`\d`)

// told is a version that a document tells.
func told(path, key string) func(documents) string {
	return func(shown documents) string {
		s := shown.at(path).text(key)
		if !digits.MatchString(s) {
			return ""
		}
		return s
	}
}

// listModels reads OpenAI's list.
func listModels(path string) func(context.Context, *transport) ([]string, error) {
	return func(ctx context.Context, t *transport) (names []string, err error) {
		var list struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := t.get(ctx, path, &list); err != nil {
			return nil, err
		}
		for _, m := range list.Data {
			names = append(names, m.ID)
		}
		return names, nil
	}
}
