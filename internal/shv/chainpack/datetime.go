package chainpack

const (
	// dateTimeEpoch is 2018-02-02T00:00:00Z in milliseconds since the Unix epoch, from which
	// DateTime counts (spec.md 1.5).
	dateTimeEpoch = 1517529600000
	// maxDateTime is the furthest instant, ± ms, that can be encoded with an offset.
	maxDateTime = 1 << 53
	minOffset   = -64
	maxOffset   = 63

	flagOffset  = 1
	flagSeconds = 2
	flagBits    = 2
	offsetBits  = 7
)

// packDateTime returns the payload of a DateTime, which is written as Int data (spec.md 1.5).
func packDateTime(msec int64, quarters int32) int64 {
	t := msec - dateTimeEpoch
	var flags int64
	if t%1000 == 0 {
		t /= 1000
		flags |= flagSeconds
	}
	if quarters != 0 {
		t = t<<offsetBits | int64(quarters)&(1<<offsetBits-1)
		flags |= flagOffset
	}
	return t<<flagBits | flags
}

// unpackDateTime is the reverse of packDateTime; ok is false beyond maxDateTime.
func unpackDateTime(payload int64) (msec int64, quarters int32, ok bool) {
	t := payload >> flagBits
	if payload&flagOffset != 0 {
		quarters = int32(t & (1<<offsetBits - 1))
		if quarters > maxOffset {
			quarters -= 1 << offsetBits
		}
		t >>= offsetBits
	}
	const far = maxDateTime + dateTimeEpoch
	if t < -far || t > far {
		return 0, 0, false
	}
	if payload&flagSeconds != 0 {
		if t < -far/1000 || t > far/1000 {
			return 0, 0, false
		}
		t *= 1000
	}
	msec = t + dateTimeEpoch
	return msec, quarters, msec >= -maxDateTime && msec <= maxDateTime
}
