package llm

// A Promise is something that Parley promises of every answer. How far each
// holds depends on what runs the model.
type Promise string

const (
	NothingLost  Promise = "nothing_lost" // every message is in the prompt, in order, or reported, or an error
	NoForgery    Promise = "no_forgery"   // control tokens come from the format alone
	StopsStop    Promise = "stops_stop"   // output ends exactly before the earliest stop string
	Reproducible Promise = "reproducible" // the same request gives the same answer
	CheapTurns   Promise = "cheap_turns"  // a turn costs its new tokens
	CancelStops  Promise = "cancel_stops" // a client that leaves stops costing
	AlwaysShown  Promise = "always_shown" // the exact prompt can be seen
)

// Promises lists them in the order of documents.
func Promises() []Promise {
	return []Promise{NothingLost, NoForgery, StopsStop, Reproducible, CheapTurns, CancelStops, AlwaysShown}
}

// Keeping is how far a promise holds.
type Keeping string

const (
	Kept     Keeping = "kept"     // always
	ByPolicy Keeping = "policy"   // as far as a stated policy goes: look-alikes of delimiters are treated, not excluded
	ByEngine Keeping = "engine"   // as far as the engine keeps it itself
	NotKept  Keeping = "not_kept" // it cannot be had from this engine
)
