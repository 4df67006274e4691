package transformer

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"parley/internal/kernel"
)

// A matrix that was forgotten would be multiplied all the same, by slow code.
func TestEveryMatrixIsPacked(t *testing.T) {
	packs := kernel.Name() != "go"
	for _, r := range recipes {
		m := r.load(t, 1)
		eachMatrix(reflect.ValueOf(m).Elem(), "model", func(path string, w reflect.Value) {
			if path == "model.embed" || path == "model.positions" || path == "model.perLayer.embed" {
				return // their rows are looked up
			}
			if kernel.Type(w.FieldByName("Type").Uint()).BlockSize() > 1 && w.FieldByName("packed").IsNil() == packs {
				t.Errorf("%s: %s: packed %t", r.name, path, !packs)
			}
		})
	}
}

// A token without experts meets every matrix once, but for those of its logits.
func TestEveryMatrixIsCounted(t *testing.T) {
	for _, r := range recipes {
		if r.experts > 0 {
			continue
		}
		m, want := r.load(t, 1), int64(0)
		eachMatrix(reflect.ValueOf(m).Elem(), "model", func(path string, w reflect.Value) {
			switch {
			case path == "model.embed", path == "model.positions", path == "model.perLayer.embed": // a row is looked up
			case path == "model.output", strings.HasPrefix(path, "model.altup.to"):
			default:
				want += 2 * w.FieldByName("Rows").Int() * w.FieldByName("Cols").Int()
			}
		})
		if got := m.OperationsPerToken(); got != want {
			t.Errorf("%s: %d operations a token, want %d", r.name, got, want)
		}
	}
}

// eachMatrix finds the matrices in a value and in what it points to.
func eachMatrix(v reflect.Value, path string, do func(path string, w reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachMatrix(v.Elem(), path, do)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Pointer && k != reflect.Slice {
			return
		}
		for i := range v.Len() {
			eachMatrix(v.Index(i), fmt.Sprintf("%s[%d]", path, i), do)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[kernel.Matrix]() {
			if v.FieldByName("Rows").Int() > 0 {
				do(path, v)
			}
			return
		}
		for i := range v.NumField() {
			eachMatrix(v.Field(i), path+"."+v.Type().Field(i).Name, do)
		}
	}
}
