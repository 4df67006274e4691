package session_test

import (
	"testing"

	"parley/internal/session"
	"parley/internal/session/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store { return session.NewMemory() })
}

func TestATalkIsWhatOneWouldThink(t *testing.T) {
	for seed := range uint64(30) {
		store := session.NewMemory()
		storetest.Talk(t, seed, func() session.Store { return store })
	}
}
