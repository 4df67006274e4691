// Command gosdk uses the OpenAI SDK for Go as applications do. It is a module
// of its own, so that the SDK is no dependency of the server.
//
//	gosdk BASE_URL
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
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
