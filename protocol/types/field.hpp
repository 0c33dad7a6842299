// The description of one field of a struct that is encoded somewhere (wire, storage, mutation):
// its name, its place, what it means. A described struct has a static `fields()` that returns a
// tuple of these in encoding order; one generic encoder, decoder and printer visits it. Header
// only.
#pragma once

namespace brokerd {

template <typename Struct, typename Member>
struct field {
    const char* name;
    Member Struct::* member;
    const char* doc;
};
template <typename Struct, typename Member>
field(const char*, Member Struct::*, const char*) -> field<Struct, Member>;

}  // namespace brokerd
