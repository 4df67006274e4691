package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"parley/internal/otlp"
)

// tracing makes a tracer where OpenTelemetry's variables name a collector; it
// is nil where they do not. end sends what has not been sent.
func tracing(log *slog.Logger) (tracer trace.Tracer, end func(), err error) {
	exporter, err := otlp.FromEnv(os.Getenv)
	if err != nil {
		return nil, nil, &userError{Message: err.Error(), Hint: "docs/observability.md says which variables there are"}
	}
	if exporter == nil {
		return nil, func() {}, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are lost", "cause", err.Error()) }))
	self, err := resource.New(context.Background(),
		resource.WithAttributes(attribute.String("service.name", "parley"), attribute.String("service.version", release)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, &userError{Message: "OTEL_RESOURCE_ATTRIBUTES cannot be read: " + err.Error()}
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(self))
	return provider.Tracer("parley"), func() {
		const patience = 3 * time.Second
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("traces are lost", "cause", err.Error())
		}
	}, nil
}
