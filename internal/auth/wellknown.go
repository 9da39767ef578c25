package auth

// wellKnown are passwords that stand in manuals, samples and sources of SHV
// programs (users.md part 4).
var wellKnown = []string{DevelopmentPassword, "admin", "admin!123"}
