#include "neurodecode/simulate.h"

#include "api/handle.h"
#include "data/simulate.h"

nd_status nd_simulate_options_init(nd_simulate_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_simulate_defaults, sizeof ndi_simulate_defaults, "nd_simulate_options");
}

nd_status nd_simulate(const char *folder, const nd_simulate_options *options, nd_progress_fn progress, void *user)
{
    REQUIRE(folder);
    nd_simulate_options known = ndi_simulate_defaults;
    TRY(ndi_options_in(&known, sizeof known, options, "nd_simulate_options"));
    return ndi_simulate(folder, &known, progress, user);
}
