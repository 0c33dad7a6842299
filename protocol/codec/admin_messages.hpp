// The protocol's messages for administration and inspection, all of them. Header only.
#pragma once

#include "protocol/codec/inspection_messages.hpp"
#include "protocol/codec/pattern_messages.hpp"
#include "protocol/codec/schedule_messages.hpp"
#include "protocol/codec/service_messages.hpp"
#include "protocol/codec/topology_messages.hpp"
