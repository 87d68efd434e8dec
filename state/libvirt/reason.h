/* Why a domain is in its state. */
#pragma once

/* A word for virDomainState and its reason, such as "I/O error" for a paused domain; NULL
 * where the state says it all (booted, shut down). */
const char *domain_reason_word(int state, int reason);
