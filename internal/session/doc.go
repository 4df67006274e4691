// Package session keeps conversations: people and characters who talk over
// time, on the server.
//
// A [Session] is a tree of messages, and its head is where the talk goes on.
// Regenerating makes another message beside the first, editing a new version
// of the same one; nothing that was said is overwritten before a session is
// purged. Each change of a session has a number, its revision, and a version
// of a message says in which it was made: so the session can be seen as it was
// at any of them, and the prompt of each reply can be made again.
//
// [Sessions] does everything that can be done with sessions. A reply is a
// [Run]: it belongs to the server and goes on when nobody watches. Where
// sessions are kept is a [Store]'s business; its contract is the suite in
// session/storetest.
package session
