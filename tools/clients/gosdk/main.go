// Command gosdk uses the OpenAI SDK for Go as applications do. It is a module
// of its own, so that the SDK is no dependency of the server.
//
//	gosdk BASE_URL FORMAT
//
// FORMAT is a file with a chat template that has a place for tools.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

func main() {
	log.SetFlags(0)
	client := openai.NewClient(option.WithBaseURL(os.Args[1]+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
	ctx := context.Background()
	params := openai.ChatCompletionNewParams{
		Model:       "any",
		Temperature: openai.Float(0),
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage("you are a helpful assistant"),
			openai.SystemMessage("you love the color red"),
			openai.UserMessage("Write a haiku about snow."),
		},
	}
	whole, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	text := whole.Choices[0].Message.Content
	if !strings.Contains(text, "red") {
		log.Fatalf("no red in %q", text)
	}

	stream := client.Chat.Completions.NewStreaming(ctx, params)
	var acc openai.ChatCompletionAccumulator
	for stream.Next() {
		acc.AddChunk(stream.Current())
	}
	if stream.Err() != nil || acc.Choices[0].Message.Content != text {
		log.Fatalf("streamed %q, whole %q, error %v", acc.Choices[0].Message.Content, text, stream.Err())
	}

	likely := params
	likely.Logprobs, likely.TopLogprobs = openai.Bool(true), openai.Int(2)
	whole, err = client.Chat.Completions.New(ctx, likely)
	if err != nil {
		log.Fatal(err)
	}
	spelled := ""
	for _, t := range whole.Choices[0].Logprobs.Content {
		if spelled += t.Token; t.Logprob > 0 || len(t.TopLogprobs) != 2 || t.TopLogprobs[0].Token != t.Token {
			log.Fatalf("not the likeliest of two: %+v", t)
		}
	}
	if spelled != text {
		log.Fatalf("the tokens spell %q, the text is %q", spelled, text)
	}

	form(ctx, client, params)
	tools(ctx, client)
	response(ctx, client)
	leave(ctx, client, params)

	rows, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: "any", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"white snow", "a red hill"}},
	})
	if err != nil || len(rows.Data) != 2 || len(rows.Data[0].Embedding) == 0 || rows.Usage.PromptTokens == 0 {
		log.Fatalf("vectors: %v, %v", rows, err)
	}

	params.TopP = openai.Float(7)
	_, err = client.Chat.Completions.New(ctx, params)
	if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != 400 || e.Param != "top_p" {
		log.Fatalf("top_p 7: got %v, want a 400 that names it", err)
	}
	fmt.Println(text)
}

// lamp is what arguments of the tool are, and answers of a given form.
var lamp = map[string]any{
	"type": "object", "required": []string{"color", "level"}, "additionalProperties": false,
	"properties": map[string]any{
		"color": map[string]any{"enum": []string{"green", "blue"}},
		"level": map[string]any{"type": "integer", "minimum": 0, "maximum": 9},
	},
}

func checkLamp(text string) {
	var l struct {
		Color string
		Level *int
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil || l.Color != "green" && l.Color != "blue" || l.Level == nil || *l.Level < 0 || *l.Level > 9 {
		log.Fatalf("%q is not under the schema: %v", text, err)
	}
}

// form asks for an answer under a schema.
func form(ctx context.Context, client openai.Client, params openai.ChatCompletionNewParams) {
	params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "lamp", Strict: openai.Bool(true), Schema: lamp},
	}}
	given, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	checkLamp(given.Choices[0].Message.Content)
}

// tools has a tool called, whole and streamed, and tells its result.
func tools(ctx context.Context, client openai.Client) {
	format, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	brought := option.WithJSONSet("chat_template", string(format))
	params := openai.ChatCompletionNewParams{
		Model: "any", Temperature: openai.Float(2), Seed: openai.Int(3),
		Messages:   []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Light!")},
		Tools:      []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "lamp", Strict: openai.Bool(true), Parameters: lamp})},
		ToolChoice: openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("required")},
	}
	whole, err := client.Chat.Completions.New(ctx, params, brought)
	if err != nil {
		log.Fatal(err)
	}
	m := whole.Choices[0].Message
	if len(m.ToolCalls) != 1 || m.ToolCalls[0].Function.Name != "lamp" || whole.Choices[0].FinishReason != "tool_calls" {
		log.Fatalf("no call: %+v", whole)
	}
	checkLamp(m.ToolCalls[0].Function.Arguments)
	stream := client.Chat.Completions.NewStreaming(ctx, params, brought)
	var acc openai.ChatCompletionAccumulator
	for stream.Next() {
		acc.AddChunk(stream.Current())
	}
	if stream.Err() != nil || len(acc.Choices[0].Message.ToolCalls) != 1 || acc.Choices[0].Message.ToolCalls[0].Function.Arguments != m.ToolCalls[0].Function.Arguments {
		log.Fatalf("streamed %+v, error %v", acc.Choices, stream.Err())
	}
	params.Messages = append(params.Messages, m.ToParam(), openai.ToolMessage("lit", m.ToolCalls[0].ID))
	params.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("none")}
	answer, err := client.Chat.Completions.New(ctx, params, brought)
	if err != nil || answer.Choices[0].Message.Content == "" || len(answer.Choices[0].Message.ToolCalls) > 0 {
		log.Fatalf("behind the result: %+v, %v", answer, err)
	}
}

// response asks by the Responses API, whole and streamed.
func response(ctx context.Context, client openai.Client) {
	params := responses.ResponseNewParams{
		Model: "any", Temperature: openai.Float(0), Instructions: openai.String("you love the color red"),
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Write a haiku about snow.")},
	}
	whole, err := client.Responses.New(ctx, params)
	if err != nil || whole.Status != "completed" || !strings.Contains(whole.OutputText(), "red") {
		log.Fatalf("a response: %+v, %v", whole, err)
	}
	streamed, last := "", ""
	stream := client.Responses.NewStreaming(ctx, params)
	for stream.Next() {
		e := stream.Current()
		if last = e.Type; last == "response.output_text.delta" {
			streamed += e.Delta
		}
	}
	if stream.Err() != nil || streamed != whole.OutputText() || last != "response.completed" {
		log.Fatalf("streamed %q up to %s, whole %q, error %v", streamed, last, whole.OutputText(), stream.Err())
	}
}

// leave goes in the middle of an answer that is too long to have come by then.
func leave(ctx context.Context, client openai.Client, params openai.ChatCompletionNewParams) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	params.MaxTokens = openai.Int(3000)
	stream := client.Chat.Completions.NewStreaming(ctx, params, option.WithJSONSet("ignore_eos", true), option.WithJSONSet("loop_guard", 0))
	for stream.Next() {
		cancel()
	}
	if !errors.Is(stream.Err(), context.Canceled) {
		log.Fatalf("behind the cancellation: %v", stream.Err())
	}
}
