package openai

import (
	"net/http"
	"testing"

	"parley/llm"
)

func TestErrorsOfTheLayoutNameTheFieldAsItIsSent(t *testing.T) {
	for field, code := range map[string]llm.Code{"format": llm.NotFound, "policy": llm.Invalid} {
		p := Explain(llm.Errorf(code, field, "there is none"))
		if want := "parley." + field; p.Status != http.StatusBadRequest || p.Param != want || p.Message != want+": there is none" {
			t.Errorf("%s: %+v", field, p)
		}
	}
}
