package otlp

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// The types are those of opentelemetry/proto/trace/v1/trace.proto in JSON's
// mapping of protocol buffers: 64-bit integers are strings, ids hexadecimal.

type request struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource   resource     `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
	SchemaURL  string       `json:"schemaUrl,omitempty"`
}

type resource struct {
	Attributes []keyValue `json:"attributes"`
}

type scopeSpans struct {
	Scope     scope  `json:"scope"`
	Spans     []span `json:"spans"`
	SchemaURL string `json:"schemaUrl,omitempty"`
}

type scope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type span struct {
	TraceID    string     `json:"traceId"`
	SpanID     string     `json:"spanId"`
	Parent     string     `json:"parentSpanId,omitempty"`
	TraceState string     `json:"traceState,omitempty"`
	Flags      uint32     `json:"flags,omitempty"`
	Name       string     `json:"name"`
	Kind       int        `json:"kind"`
	Start      string     `json:"startTimeUnixNano"`
	End        string     `json:"endTimeUnixNano"`
	Attributes []keyValue `json:"attributes,omitempty"`
	Dropped    int        `json:"droppedAttributesCount,omitempty"`
	Events     []event    `json:"events,omitempty"`
	Status     status     `json:"status"`
}

type event struct {
	Time       string     `json:"timeUnixNano"`
	Name       string     `json:"name"`
	Attributes []keyValue `json:"attributes,omitempty"`
}

type status struct {
	Code    int    `json:"code,omitempty"` // 0: unset, 1: ok, 2: error
	Message string `json:"message,omitempty"`
}

type keyValue struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

// A value has exactly one field set.
type value struct {
	String *string  `json:"stringValue,omitempty"`
	Bool   *bool    `json:"boolValue,omitempty"`
	Int    *string  `json:"intValue,omitempty"`
	Double *float64 `json:"doubleValue,omitempty"`
	Array  *array   `json:"arrayValue,omitempty"`
}

type array struct {
	Values []value `json:"values"`
}

// encode is one export request. All spans are of one resource: a program has
// one provider.
func encode(spans []sdk.ReadOnlySpan) []byte {
	r := spans[0].Resource()
	all := resourceSpans{Resource: resource{keyValues(r.Attributes())}, SchemaURL: r.SchemaURL()}
	place := map[instrumentation.Scope]int{}
	for _, s := range spans {
		from := s.InstrumentationScope()
		i, ok := place[from]
		if !ok {
			i = len(all.ScopeSpans)
			place[from] = i
			all.ScopeSpans = append(all.ScopeSpans, scopeSpans{Scope: scope{from.Name, from.Version}, SchemaURL: from.SchemaURL})
		}
		all.ScopeSpans[i].Spans = append(all.ScopeSpans[i].Spans, encodeSpan(s))
	}
	body, err := json.Marshal(request{[]resourceSpans{all}})
	if err != nil {
		panic(fmt.Sprintf("otlp: own types must encode: %v", err))
	}
	return body
}

func encodeSpan(s sdk.ReadOnlySpan) span {
	id := s.SpanContext()
	out := span{
		TraceID: id.TraceID().String(), SpanID: id.SpanID().String(), TraceState: id.TraceState().String(), Flags: uint32(id.TraceFlags()),
		Name: s.Name(), Kind: int(s.SpanKind()), Start: nanos(s.StartTime()), End: nanos(s.EndTime()),
		Attributes: keyValues(s.Attributes()), Dropped: s.DroppedAttributes(),
	}
	if parent := s.Parent(); parent.HasSpanID() {
		out.Parent = parent.SpanID().String()
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, event{nanos(e.Time), e.Name, keyValues(e.Attributes)})
	}
	switch st := s.Status(); st.Code {
	case codes.Ok:
		out.Status.Code = 1
	case codes.Error:
		out.Status = status{2, st.Description}
	}
	return out
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func keyValues(attrs []attribute.KeyValue) []keyValue {
	var all []keyValue
	for _, a := range attrs {
		all = append(all, keyValue{string(a.Key), valueOf(a.Value)})
	}
	return all
}

func valueOf(v attribute.Value) value {
	switch v.Type() {
	case attribute.BOOL:
		return value{Bool: new(v.AsBool())}
	case attribute.INT64:
		return value{Int: new(strconv.FormatInt(v.AsInt64(), 10))}
	case attribute.FLOAT64:
		return number(v.AsFloat64())
	case attribute.STRINGSLICE:
		return list(v.AsStringSlice(), text)
	case attribute.INT64SLICE:
		return list(v.AsInt64Slice(), func(n int64) value { return value{Int: new(strconv.FormatInt(n, 10))} })
	case attribute.FLOAT64SLICE:
		return list(v.AsFloat64Slice(), number)
	case attribute.BOOLSLICE:
		return list(v.AsBoolSlice(), func(b bool) value { return value{Bool: &b} })
	}
	return text(v.String())
}

func text(s string) value { return value{String: new(strings.ToValidUTF8(s, "\ufffd"))} }

// number is one that JSON can write; the others are words, as protocol
// buffers' mapping has it.
func number(f float64) value {
	if f-f != 0 {
		return text(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return value{Double: &f}
}

func list[T any](all []T, one func(T) value) value {
	values := make([]value, len(all))
	for i, v := range all {
		values[i] = one(v)
	}
	return value{Array: &array{values}}
}
