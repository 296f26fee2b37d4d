// The service has the script from a Python package, which has no types. It leaves `Chart` behind.
export {};
