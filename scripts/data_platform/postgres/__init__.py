"""PostgreSQL itself: throwaway and live servers, connections, what a catalog says, data to prove things on."""
