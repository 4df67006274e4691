package upstream

import "parley/llm"

const (
	vocabOpenAI vocabulary = iota
	vocabVLLM
	vocabLlamaCPP
	vocabKobold
	vocabTextgen
	vocabOllama
	vocabTGI
	vocabMLC
	vocabLlamaCPPPython
	vocabLMStudio
	vocabLocalAI
	vocabAnthropic
	vocabParley
)

// write adds the parameters under the names of a vocabulary.
func (v vocabulary) write(into map[string]any, p llm.Params, report *llm.Report) error {
	name := map[vocabulary]string{vocabLlamaCPP: "n_predict", vocabKobold: "max_length", vocabOllama: "num_predict", vocabTGI: "max_new_tokens"}[v]
	if name == "" {
		name = "max_tokens"
	}
	if p.MaxTokens != nil {
		into[name] = *p.MaxTokens
	}
	if p.Temperature != nil && *p.Temperature == 0 && (v == vocabTGI || v == vocabKobold) {
		p.Temperature, p.TopK = new(1.0), new(1)
	}
	for name, value := range map[string]*float64{"temperature": p.Temperature, "top_p": p.TopP, "min_p": p.MinP} {
		if value != nil {
			into[name] = *value
		}
	}
	if p.TopK != nil {
		into["top_k"] = *p.TopK
	}
	seed := "seed"
	if v == vocabKobold {
		seed = "sampler_seed"
	}
	if p.Seed != nil {
		into[seed] = *p.Seed
	}
	return nil
}
