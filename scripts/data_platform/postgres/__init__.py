"""PostgreSQL itself: throwaway and live servers, connections, catalogs, data to prove things on."""
