package limits

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// What a request may hold.
var (
	BodyBytes        = row("body_bytes", 0, 32*mib, "bytes", "a request's body")
	JSONDepth        = row("json_depth", 0, 64, "levels", "nesting of a request's JSON")
	Fields           = row("json_fields", 0, 1024, "fields", "fields of one object of a request")
	QuotedBytes      = row("quoted_bytes", 0, 64, "bytes", "a client's word that an error or a report repeats; more is cut off")
	IgnoredFields    = row("ignored_fields", 0, 32, "fields", "ignored fields that a report names")
	LogContentBytes  = row("log_content_bytes", 0, 64*kib, "bytes", "a request or an answer in the log, where it holds contents; more is cut off")
	HeaderBytes      = row("header_bytes", 0, 64*kib, "bytes", "all headers of a request")
	RequestIDBytes   = row("request_id_bytes", 1, 128, "bytes", "a request's id in X-Request-Id; another is made for one that is longer")
	Messages         = row("messages", 1, 20_000, "messages", "messages of a conversation")
	Parts            = row("parts", 0, 10_000, "parts", "content parts of a message")
	NameBytes        = row("name_bytes", 0, 256, "bytes", "a speaker's or model's name")
	MediaBytes       = row("media_bytes", 0, 20*mib, "bytes", "one picture or sound, decoded")
	KwargsBytes      = row("template_arguments_bytes", 0, 64*kib, "bytes", "chat_template_kwargs of a request, as JSON")
	NoteBytes        = row("note_bytes", 0, 1*kib, "bytes", "the words around a system message that becomes a user's")
	StoredResponses  = row("stored_responses", 0, 1024, "responses", "responses of one key that are kept to go on from; the oldest give way")
	StoredBytes      = row("stored_responses_bytes", 0, 64*mib, "bytes", "what is kept of them together, the conversation before each counted with it")
	Tools            = row("tools", 0, 512, "tools", "tools of a request")
	ToolCallDepth    = row("tool_call_depth", 0, 64, "levels", "nesting of the arguments of a tool call that a model writes; a call that nests deeper is text")
	Stops            = row("stops", 0, 512, "strings", "stop strings of a request, the format's not counted")
	StopBytes        = row("stop_bytes", 1, 4*kib, "bytes", "one stop string")
	StopsBytes       = row("stops_bytes", 0, 256*kib, "bytes", "all stop strings of a request together")
	AllStops         = row("all_stops", 0, 1024, "strings", "stop strings of a request and of the chat format together")
	Choices          = row("n", 1, 64, "choices", "answers to one request")
	PromptsPerCall   = row("prompts", 1, 256, "prompts", "prompts of one completion request")
	Inputs           = row("inputs", 1, 2048, "texts", "texts of one request for vectors")
	Dimensions       = row("dimensions", 1, 1<<20, "numbers", "numbers of a vector that a request asks for")
	LogProbs         = row("logprobs", 0, 20, "tokens", "alternatives reported for each token")
	LogitBiases      = row("logit_bias", 0, 4096, "tokens", "entries of logit_bias")
	TraceAnswerBytes = row("trace_answer_bytes", 0, 64*kib, "bytes", "an answer of a collector of traces; more is not read")

	LogitBiasWordBytes = row("logit_bias_word_bytes", 1, 256, "bytes", "a word of logit_bias")
	BannedStrings      = row("banned_strings", 0, 1024, "strings", "phrases that the output must not contain")
	BannedStringBytes  = row("banned_string_bytes", 1, 256, "bytes", "one banned phrase")
	DRYBreakers        = row("dry_breakers", 0, 64, "strings", "strings across which DRY does not count")
	DRYBreakerBytes    = row("dry_breaker_bytes", 1, 64, "bytes", "one of them")
	Samplers           = row("samplers", 0, 64, "names", "names in a request's order of samplers")
)

// What a number of a request may be.
var (
	MaxTokens         = row("max_tokens", -1, 1<<30, "tokens", "tokens asked for; more than fit are capped, -1 is as many as fit")
	Temperature       = row("temperature", 0, 100, "", "sampling temperature")
	OllamaPredict     = row("num_predict", -2, 1<<30, "tokens", "Ollama's number of tokens; none and fewer are as many as fit")
	TopK              = row("top_k", -1, 1<<30, "tokens", "top-k; 0 and -1 keep all")
	TopP              = row("top_p", 0, 1, "", "nucleus")
	MinP              = row("min_p", 0, 1, "", "least probability relative to the greatest")
	TypicalP          = row("typical_p", 0, 1, "", "locally typical sampling")
	TopNSigma         = row("top_n_sigma", -1, 100, "", "standard deviations below the greatest logit; 0 and less keep all")
	RepetitionPenalty = row("repetition_penalty", 0.01, 100, "", "divisor of repeated tokens' logits")
	RepetitionRange   = row("repetition_range", -1, 1<<30, "tokens", "tokens looked back on; -1 is all")
	PresencePenalty   = row("presence_penalty", -100, 100, "", "subtracted once")
	FrequencyPenalty  = row("frequency_penalty", -100, 100, "", "subtracted for each occurrence")
	LogitBias         = row("logit_bias_value", -1000, 1000, "", "one entry of logit_bias")
	MinTokens         = row("min_tokens", 0, 1<<30, "tokens", "tokens before the model may end")
	LoopGuard         = row("loop_guard", 0, 1<<30, "tokens", "tokens of mere repetition that end a reply; 0 is off")
	TokenID           = row("token_id", 0, 1<<24, "", "the number of a token")
	Seed              = row("seed", -1<<63, 1<<63, "", "seed; any 64-bit integer")
)

// What shapes the less usual samplers.
var (
	DynamicTemperatureRange    = row("dynatemp_range", 0, 100, "", "dynamic temperature: how far from the temperature")
	DynamicTemperatureExponent = row("dynatemp_exponent", 0, 100, "", "dynamic temperature: power of the entropy")

	XTCProbability = row("xtc_probability", 0, 1, "", "XTC: how often it applies")
	XTCThreshold   = row("xtc_threshold", 0, 1, "", "XTC: least probability that counts")

	Mirostat    = row("mirostat", 0, 2, "", "mirostat's version; 0 is off")
	MirostatTau = row("mirostat_tau", 0, 100, "bits", "mirostat: surprise aimed at")
	MirostatEta = row("mirostat_eta", 0, 10, "", "mirostat: learning rate")

	DRYMultiplier    = row("dry_multiplier", 0, 100, "", "DRY: factor; 0 is off")
	DRYBase          = row("dry_base", 0, 100, "", "DRY: base; less than 1 is off")
	DRYAllowedLength = row("dry_allowed_length", 0, 1<<30, "tokens", "DRY: longest repetition without penalty")
	DRYRange         = row("dry_penalty_last_n", -1, 1<<30, "tokens", "DRY: tokens looked back on; -1 is all")
)

// What the server holds at a time.
var (
	Streams        = row("streams", 0, 2048, "streams", "requests from one address at a time")
	Queue          = row("queue", 0, 4096, "requests", "requests waiting for one model")
	Sequences      = row("sequences", 1, 256, "sequences", "sequences that one model works on at a time")
	Context        = row("context", 16, 1<<24, "tokens", "context of a model")
	WriteSeconds   = row("write_seconds", 1, 30, "seconds", "a client that reads nothing is cut off after so long")
	HeaderSeconds  = row("header_seconds", 1, 10, "seconds", "a client has so long to send its headers")
	BodySeconds    = row("body_seconds", 1, 120, "seconds", "a client has so long to send its body")
	SocketRequests = row("socket_requests", 1, 16, "requests", "requests that wait on one WebSocket for those before them")
	IdleSeconds    = row("idle_seconds", 1, 120, "seconds", "an unused connection is kept so long")
	DrainSeconds   = row("drain_seconds", 0, 30, "seconds", "running requests have so long to end at shutdown")
	PingSeconds    = row("ping_seconds", 1, 10, "seconds", "a stream without output gets a sign of life so often")
	RequestTimeout = row("request_seconds", 1, 24*3600, "seconds", "one request, from first byte to last")
)

// What an engine over HTTP may take and send.
var (
	UpstreamConnectSeconds = row("upstream_connect_seconds", 0, 5, "seconds", "an engine over HTTP has so long to take a connection")
	UpstreamFirstSeconds   = row("upstream_first_seconds", 0, 600, "seconds", "until the first sign of an answer: the engine may queue the request and read a long prompt")
	UpstreamSilenceSeconds = row("upstream_silence_seconds", 0, 120, "seconds", "between two signs of life while it answers")
	UpstreamTailSeconds    = row("upstream_tail_seconds", 0, 2, "seconds", "for what comes behind the end of the text: counts of tokens")
	UpstreamProbeSeconds   = row("upstream_probe_seconds", 0, 5, "seconds", "to say what it is")
	UpstreamLineBytes      = row("upstream_line_bytes", 0, 1*mib, "bytes", "one line or event of its answer")
	UpstreamAnswerBytes    = row("upstream_answer_bytes", 0, 32*mib, "bytes", "an answer that comes whole, and whatever it says of itself")
	UpstreamHeaderBytes    = row("upstream_header_bytes", 0, 64*kib, "bytes", "all headers of its answer")
	UpstreamErrorBytes     = row("upstream_error_bytes", 0, 16*kib, "bytes", "what is read of an error")
	UpstreamMessageBytes   = row("upstream_message_bytes", 0, 512, "bytes", "what is repeated of it")
	UpstreamRetries        = row("upstream_retries", 0, 2, "times", "a request that has not begun is sent again")
	UpstreamRetrySeconds   = row("upstream_retry_seconds", 0, 5, "seconds", "that an engine may ask to wait before a request is sent again; more is told to the client")
)

// How programs that Parley starts itself are treated, and models that come and go.
var (
	StartSeconds   = row("start_seconds", 1, 600, "seconds", "an engine that Parley starts has so long to become ready, where the configuration does not say")
	GraceSeconds   = row("grace_seconds", 0, 10, "seconds", "an engine has so long to end before it is killed")
	Crashes        = row("crashes", 1, 5, "crashes", "failures in a row after which an engine is left alone")
	SettledSeconds = row("settled_seconds", 1, 60, "seconds", "an engine that ran for so long has not failed in a row")
	BackoffSeconds = row("backoff_seconds", 1, 60, "seconds", "pause before a failed engine is started again, doubled from one second")
	BrokenSeconds  = row("broken_seconds", 1, 60, "seconds", "an engine that failed too often is left alone for so long")

	Waiting         = row("wait_seconds", 0, 1800, "seconds", "a request waits so long for its model to be loaded")
	TurnSeconds     = row("turn_seconds", 10, 60, "seconds", "a model that others wait for is not unloaded before it was there so long: as long as its load took, within these bounds")
	LingerSeconds   = row("linger_seconds", 0, 1, "seconds", "a model without work gives up its turn after so long")
	HoldSeconds     = row("hold_seconds", 0, 60, "seconds", "a model without work is not unloaded for one of lower priority before so long")
	PatienceSeconds = row("patience_seconds", 1, 60, "seconds", "a model that was asked for so long ago goes before those of higher priority")

	OutputBytes  = row("output_bytes", 0, 64*kib, "bytes", "the end of what an engine prints, kept in memory")
	LogFileBytes = row("log_file_bytes", 0, 16*mib, "bytes", "a file with what an engine prints; one older is kept beside it")
	CommandParts = row("command_parts", 1, 1024, "parts", "a command of the configuration")
)

// What parley check takes from a server.
var (
	CheckSeconds        = row("check_seconds", 1, 3600, "seconds", "one run of parley check; what is left then is not checked")
	CheckRequestSeconds = row("check_request_seconds", 1, 60, "seconds", "one request of it, to the end of the answer")
	CheckSilences       = row("check_silences", 0, 2, "requests", "requests in a row without an answer, or with an endless one, after which the server is given up")
	CheckAnswerBytes    = row("check_answer_bytes", 0, 8*mib, "bytes", "one answer that it reads")
	CheckLineBytes      = row("check_line_bytes", 0, 1*mib, "bytes", "one line of a stream that it reads")
	CheckErrorDepth     = row("check_error_depth", 0, 8, "levels", "nesting in which it looks for an error's message")
	CheckQuoteRunes     = row("check_quote_characters", 0, 160, "characters", "a server's words that it repeats; more is cut off")
	CheckFaults         = row("check_faults", 0, 8, "faults", "faults of one stream that it names")
	CheckContext        = row("check_context", 16, 1<<18, "tokens", "the longest context that it tries to exceed")
)

// What a file may hold.
var (
	FormatFileBytes      = row("format_file_bytes", 0, 1*mib, "bytes", "a chat format in TOML")
	TokenizerConfigBytes = row("tokenizer_config_bytes", 0, 16*mib, "bytes", "a tokenizer_config.json, read for its chat template")
	TokenizerFileBytes   = row("tokenizer_file_bytes", 0, 64*mib, "bytes", "a tokenizer.json; the largest real ones have some 34 million")
	FormatTextBytes      = row("format_text_bytes", 0, 64*kib, "bytes", "one delimiter of a chat format")
	CharacterBytes       = row("character_bytes", 0, 1*mib, "bytes", "a character's file in YAML or TOML")
	YAMLDepth            = row("yaml_depth", 0, 64, "levels", "nesting of a character's YAML within a line or brackets")
	YAMLTokens           = row("yaml_tokens", 0, 100_000, "tokens", "words and marks of a character's YAML; a text is one")
	TOMLKeys             = row("toml_keys", 0, 10_000, "lines", "lines of a character's TOML with a key or a table")
	CardBytes            = row("card_bytes", 0, 8*mib, "bytes", "a character card's JSON, unpacked")
	CardFileBytes        = row("card_file_bytes", 0, 64*mib, "bytes", "a character card's file: JSON, picture or archive")
	PNGChunks            = row("png_chunks", 0, 100_000, "chunks", "parts of a picture that are looked through for a card")
	ArchiveFiles         = row("archive_files", 0, 4096, "files", "files in an archive with a card")
	AvatarPixels         = row("avatar_pixels", 1, 1<<24, "pixels", "a character's picture")
	AvatarRatio          = row("avatar_ratio", 1, 20, "", "a picture's longer side to its shorter one")
	LoreEntries          = row("lore_entries", 0, 10_000, "entries", "entries of one lorebook")
	LoreKeyBytes         = row("lore_key_bytes", 0, 4*kib, "bytes", "one key of a lorebook's entry")
	LoreDepth            = row("lore_depth", 0, 1000, "messages", "messages that a lorebook looks through")
	CountedTexts         = row("counted_texts", 0, 100_000, "texts", "texts of sessions whose tokens a server remembers the number of")
	LoreBudget           = row("lore_budget", 0, 1_000_000, "tokens", "tokens that the entries of a session's lorebooks may have together")
	Lorebooks            = row("lorebooks", 0, 32, "lorebooks", "lorebooks of a session, besides its characters'")
	LoreScanBytes        = row("lore_scan_bytes", 0, 1*gib, "bytes", "text that all keys of lorebooks together are looked for in, for one reply; a regular expression counts fifty times")
	LoreRecursionBytes   = row("lore_recursion_bytes", 0, 1*mib, "bytes", "text of entries that other entries are called by")
	Greetings            = row("greetings", 0, 1000, "greetings", "first messages of one character; more are left out")
	SceneBytes           = row("scene_bytes", 0, 64*mib, "bytes", "all texts of a scene's characters and lorebooks with their macros expanded")
	MacroBytes           = row("macro_bytes", 0, 16*mib, "bytes", "a text of a character with its macros expanded")
	HubListBytes         = row("hub_list_bytes", 0, 16*mib, "bytes", "one answer of a hub about a repository")
	HubFiles             = row("hub_files", 0, 10_000, "files", "files of a repository on a hub")
	HubTokenBytes        = row("hub_token_bytes", 0, 4*kib, "bytes", "the file with a hub's token")
	KeyFileBytes         = row("key_file_bytes", 0, 1*mib, "bytes", "the file of API keys")
	KeyNameBytes         = row("key_name_bytes", 1, 64, "bytes", "the name of an API key")
	ConfigBytes          = row("config_bytes", 0, 1*mib, "bytes", "the configuration file")

	// The largest real GGUF files stay far below: a vocabulary of 256 thousand
	// tokens, some two thousand tensors, a hundred keys.
	GGUFBytes         = row("gguf_bytes", 0, 1024*gib, "bytes", "a GGUF file")
	GGUFParts         = row("gguf_parts", 0, 1024, "files", "a model that is split over several GGUF files")
	GGUFMetadataBytes = row("gguf_metadata_bytes", 0, 512*mib, "bytes", "what stands in a GGUF file before the tensors' data")
	GGUFPairs         = row("gguf_pairs", 0, 64*kib, "pairs", "metadata of a GGUF file")
	GGUFTensors       = row("gguf_tensors", 0, 64*kib, "tensors", "tensors of a GGUF file")
	GGUFKeyBytes      = row("gguf_key_bytes", 0, 64*kib-1, "bytes", "one key of a GGUF file, as its specification says")
	GGUFNameBytes     = row("gguf_name_bytes", 0, 64, "bytes", "a tensor's name, as its specification says")
	GGUFStringBytes   = row("gguf_string_bytes", 0, 64*mib, "bytes", "one string of a GGUF file")
	GGUFArrayItems    = row("gguf_array_items", 0, 64*mib, "items", "one array of a GGUF file")
	GGUFArrayDepth    = row("gguf_array_depth", 0, 4, "levels", "arrays within arrays of a GGUF file")

	Vocabulary        = row("vocabulary", 1, 1<<24, "tokens", "a model's vocabulary; the largest real ones have 262 thousand")
	VocabularyGaps    = row("vocabulary_gaps", 0, 64*kib, "ids", "ids of a tokenizer.json below its highest that stand for no token")
	SpecialTokenBytes = row("special_token_bytes", 0, 256, "bytes", "a control token that text can become; the longest real ones have some forty")
	ModelWidth        = row("model_width", 0, 1<<24, "", "every width and count that describes a model: well above all there are, and a product of two is a number")
)

// How far model files are looked for.
var (
	FoundFiles    = row("found_files", 0, 1024, "files", "model files that are looked into")
	FoundEntries  = row("found_entries", 0, 200_000, "entries", "files and folders that are walked over")
	FoundDepth    = row("found_depth", 0, 8, "folders", "folders within folders")
	FoundSeconds  = row("found_seconds", 0, 10, "seconds", "the search as a whole")
	ManifestBytes = row("manifest_bytes", 0, 1*mib, "bytes", "what a store says of one of its models")
	ProbedPorts   = row("probed_ports", 0, 64, "ports", "ports on which engines are looked for")
	ProbeMillis   = row("probe_milliseconds", 0, 500, "milliseconds", "an engine has so long to answer")
)

// What a chat template may cost, whoever sent it.
var (
	GoTemplateBytes = row("go_template_bytes", 0, 64*kib, "bytes", "a template of an engine that uses those of Go, and what it writes")
	TemplateBytes   = row("template_bytes", 0, 1*mib, "bytes", "a chat template's source")
	TemplateDepth   = row("template_depth", 0, 128, "levels", "nesting of a template's blocks, expressions and calls")
	TemplateChain   = row("template_chain", 0, 256, "parts", "filters, accesses, operators or inline ifs in a row")
	TemplateIntBits = row("template_int_bits", 0, 14_284, "bits", "a template's integers: as long as those that Python still prints (4,300 digits)")
	TemplateSteps   = row("template_steps", 0, 20_000_000, "steps", "evaluation steps of one render")
	TemplateOutput  = row("template_output_bytes", 0, 128*mib, "bytes", "output of one render")
	TemplateLive    = row("template_live_bytes", 0, 512*mib, "bytes", "values made by one render")
	TemplateRange   = row("template_range", 0, 100_000, "items", "length of range()")
	TemplateTime    = row("template_seconds", 0, 10, "seconds", "one render")
)

// What a constraint on the output may cost.
var (
	GrammarBytes   = row("grammar_bytes", 0, 256*kib, "bytes", "a grammar, a regular expression or a JSON schema")
	GrammarDepth   = row("grammar_depth", 0, 128, "levels", "nesting of a grammar's brackets or of a schema")
	GrammarPlaces  = row("grammar_places", 0, 1<<20, "places", "states of the automaton that a constraint is compiled to")
	GrammarChoices = row("grammar_choices", 0, 4096, "choices", "texts to choose from, and ways to hold to one object of a schema")
	GrammarConfigs = row("grammar_configs", 0, 4096, "places", "ways in which a text may be read at the same time")
	GrammarStates  = row("grammar_states", 0, 1<<16, "states", "states of a grammar that are remembered")
)

// What is kept of conversations.
var (
	MessageBytes     = row("message_bytes", 0, 1*mib, "bytes", "a message of a session")
	SessionMessages  = row("session_messages", 0, 50_000, "messages", "messages of a session, alternatives included")
	ArchiveLineBytes = row("archive_line_bytes", 0, 64*mib, "bytes", "a line of the archive of a whole server")
	ExternalIDBytes  = row("external_id_bytes", 0, 256, "bytes", "what a program calls a session, and the key with which it sends a request again")
	TitleBytes       = row("title_bytes", 0, 1*kib, "bytes", "a session's title")
	Tags             = row("tags", 0, 64, "tags", "tags of a session")
	TagBytes         = row("tag_bytes", 1, 128, "bytes", "one tag")
	Company          = row("company", 0, 32, "characters", "characters of a session")
	RoundReplies     = row("round_replies", 1, 64, "replies", "replies behind each other that one request asks for")
	NoteDepth        = row("note_depth", 0, 10_000, "messages", "messages behind a session's note")
	SummaryWords     = row("summary_words", 0, 10_000, "words", "about how long a session's summary is to be")
	NameStops        = row("name_stops", 0, 64, "names", "people of a session at whose turns a reply stops")
	SearchWords      = row("search_words", 0, 32, "words", "words to search for")
	ListItems        = row("list_items", 1, 1000, "items", "items of one answer that lists sessions or messages found")
	FlushSeconds     = row("flush_seconds", 0, 1, "seconds", "a reply that is being generated is stored so often")
	HeldSessionBytes = row("held_session_bytes", 0, 64*mib, "bytes", "memory, about, of the sessions that were used last")
	EndedRuns        = row("ended_runs", 0, 256, "runs", "replies whose single events are remembered when they are over")
)
