package session_test

import (
	"testing"

	"parley/internal/session"
	"parley/internal/session/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store { return session.NewMemory() })
}
