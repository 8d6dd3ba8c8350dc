package tiny

// ModelSHA256 is the hash of the installed model: of that of the archive as this version's
// converter writes it, and so what the manifest of a run on it says.
const ModelSHA256 = "cb83a6ab023fc843e6f889bbee650306d87a233895b5c2f3ee6cb5b376e8630a"
